"""Before Python runs, and how it comes to run."""

from playwright.sync_api import Page, expect

from tests.e2e.faults import hold, lose
from tests.e2e.person import Person
from tests.e2e.watch import Watch

RUNTIME = "**/pyodide.asm.wasm"


def test_the_page_boots_from_its_own_server_alone(person: Person, watch: Watch) -> None:
    """Python starts with both packages, and no other host is asked for anything."""
    person.opens()
    loaded = {sent.path.rpartition("/")[2].partition("-")[0] for sent in watch.sent}
    assert {"pyodide.asm.wasm", "pyjwt", "pyodide_http"} <= loaded
    assert watch.strangers == []


def test_what_is_sent_too_early_is_done_when_python_runs(person: Person, page: Page) -> None:
    """The form can be filled in and sent while Python loads: it waits, then signs in."""
    release = hold(page, RUNTIME)
    page.goto("/")
    expect(page.get_by_role("progressbar", name="Starting Python")).to_be_visible()
    person.signs_in()
    expect(person.sign_in_button).to_have_attribute("aria-busy", "true")
    expect(person.username).to_have_value("ada")
    release()
    person.is_at_notes()


def test_what_is_typed_too_early_is_there_when_python_runs(person: Person, page: Page) -> None:
    """Text and focus of a half filled form survive the start of Python."""
    release = hold(page, RUNTIME)
    page.goto("/")
    person.username.fill("ada")
    person.password.press_sequentially("half a pass")
    release()
    person.waits_until_ready()
    expect(person.username).to_have_value("ada")
    expect(person.password).to_have_value("half a pass")
    expect(person.password).to_be_focused()


def test_a_runtime_that_cannot_be_loaded_is_said(person: Person, page: Page, watch: Watch) -> None:
    """A sentence and a reload button appear, the name stays, and the reload works."""
    restore = lose(page, RUNTIME)
    page.goto("/")
    person.username.fill("ada")
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded completely")
    expect(person.username).to_have_value("ada")
    restore()
    page.get_by_role("button", name="Reload the page").click()
    person.waits_until_ready()
    expect(person.username).to_have_value("ada")
    expect(page.get_by_role("alert")).to_be_hidden()
    watch.forgive("Failed to", "wasm", "Error", "Preload")


def test_a_page_whose_python_fails_is_said(person: Person, page: Page, watch: Watch) -> None:
    """When the page's own code cannot run, the person hears of it and can reload."""
    page.route("**/app/main.py", lambda route: route.fulfill(body="raise RuntimeError('broken')"))
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded completely")
    expect(person.username).to_be_editable()
    watch.forgive("broken")


def test_a_page_that_was_signed_in_shows_no_sign_in_form_while_it_starts(
    person: Person, page: Page
) -> None:
    """A reload keeps the session, and does not ask for a password even for a moment."""
    person.opens().signs_in().is_at_notes()
    release = hold(page, RUNTIME)
    page.reload()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(person.heading("Sign in")).to_be_hidden()
    release()
    person.waits_until_ready().is_at_notes()


def test_no_inline_script_runs(person: Person, page: Page, watch: Watch) -> None:
    """Should markup ever be injected, the page's policy keeps its scripts from running."""
    person.opens()
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.injected = true";
            document.body.append(script);
        }"""
    )
    assert page.evaluate("window.injected") is None
    watch.forgive("Content Security Policy", "script-src")


def test_a_browser_that_stores_nothing_still_works(person: Person, page: Page) -> None:
    """With storage blocked a person can sign in and write, for as long as the page lives."""
    block = "() => { throw new DOMException('blocked', 'SecurityError') }"
    page.add_init_script(
        f"""for (const name of ["localStorage", "sessionStorage"])
              Object.defineProperty(window, name, {{ get: {block} }})"""
    )
    person.opens().signs_in().is_at_notes()
    person.adds("written without storage")
