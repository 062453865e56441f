"""Before Python runs, and how it comes to run."""

import gzip
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.faults import hold, lose
from tests.e2e.person import Person
from tests.e2e.watch import Watch

RUNTIME = "**/pyodide.asm.wasm"
SNAPSHOT = "**/snapshot.gz"
IN_PYTHON = (
    "async (code) => {"
    " const { loadPyodide } = await import('/app/load_pyodide.mjs');"
    " return (await loadPyodide({})).runPython(code); }"
)
"""The page's own interpreter, which is started once."""


def test_the_page_boots_from_its_own_server_alone(person: Person, watch: Watch) -> None:
    """Python starts with both packages, and no other host is asked for anything."""
    person.opens()
    loaded = {sent.path.rpartition("/")[2].partition("-")[0] for sent in watch.sent}
    assert {"pyodide.asm.wasm", "pyjwt", "pyodide_http"} <= loaded
    assert watch.strangers == []


def was_woken(page: Page) -> bool:
    return bool(page.evaluate("performance.getEntriesByName('python-woken').length"))


def test_python_is_woken_and_not_started(person: Person, page: Page) -> None:
    """The page wakes a Python that was started before, once, with the library's needs imported."""
    person.opens()
    assert was_woken(page)
    assert page.evaluate(IN_PYTHON, "import sys; 'jwt' in sys.modules and 'views' in sys.modules")


def test_no_two_pages_draw_the_same_lots(person: Person, page: Page) -> None:
    """What is asleep in the snapshot is the same for everybody, but not what is drawn by lot."""
    draw = "import random, secrets, uuid; f'{random.random()} {secrets.token_hex()} {uuid.uuid4()}'"
    drawn: list[str] = []
    for _ in range(2):
        person.opens()
        assert was_woken(page)
        drawn += page.evaluate(IN_PYTHON, draw).split()
        page.goto("about:blank")
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize(
    "reply", [{"status": 404}, {"body": "no snapshot"}, {"body": gzip.compress(bytes(10_000))}]
)
def test_without_a_good_snapshot_python_starts_as_ever(
    person: Person, page: Page, watch: Watch, reply: dict[str, Any]
) -> None:
    """A snapshot that is missing, damaged or of something else costs time and nothing more."""
    page.route(SNAPSHOT, lambda route: route.fulfill(**reply))
    person.opens().signs_in().is_at_notes()
    assert not was_woken(page)
    watch.forgive("404")


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
    watch.forgive("broken", "RuntimeError")


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
