"""The page in German, if the browser prefers it, and in English otherwise."""

import json
import re
from functools import cache

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.conftest import TIMEOUT_MS, ContextFactory
from tests.e2e.faults import hold, lose
from tests.e2e.person import Person
from tests.e2e.test_access import AXE, FINDINGS, OVERFLOW
from tests.e2e.watch import Watch
from tests.page.translations import FILE as TRANSLATIONS
from tests.page.translations import languages

RUNTIME = "**/pyodide.asm.wasm"
PYSCRIPT = "**/core.js"
TEXTS = """() => {
    const texts = [document.title];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) texts.push(walker.currentNode.data.trim().replace(/\\s+/g, " "));
    for (const name of ["aria-label", "placeholder", "title"])
        for (const element of document.querySelectorAll(`[${name}]`))
            texts.push(element.getAttribute(name));
    return texts;
}"""
GERMAN = languages()["de"]
ENGLISH = re.compile(
    "|".join(
        re.escape(message).replace(r"\{\}", ".+")
        for message, german in GERMAN.items()
        if german != message
    )
)
OFFLINE = (
    "Offline: Keine Anfrage kommt durch. Sie sind weiterhin angemeldet, und die Seite versucht es"
    " von selbst wieder."
)
EXPIRED = "Ihre Sitzung ist abgelaufen. Bitte melden Sie sich neu an."


def english_in(page: Page) -> list[str]:
    """Return the texts of the page that are in English although there is a translation."""
    return [text for text in page.evaluate(TEXTS) if ENGLISH.fullmatch(text)]


def prefer(page: Page, tags: list[str]) -> None:
    """Set the browser's languages, the preferred one first."""
    page.add_init_script(
        f"Object.defineProperty(navigator, 'languages', {{ get: () => {json.dumps(tags)} }})"
    )


@pytest.fixture(scope="session")
def context_of(browser: Browser) -> ContextFactory:
    """Return a function that returns a server's browser context, which prefers German."""

    @cache
    def factory(url: str) -> BrowserContext:
        context = browser.new_context(base_url=url, locale="de-DE")
        context.set_default_timeout(TIMEOUT_MS)
        return context

    return factory


@pytest.fixture
def person(page: Page) -> Person:
    """A person who reads German."""
    return Person(page, GERMAN)


@pytest.mark.parametrize(
    ("tags", "language", "heading"),
    [
        (["de-AT", "en"], "de", "Anmelden"),
        (["fr", "de"], "de", "Anmelden"),
        (["en-GB", "de"], "en", "Sign in"),
        (["fr-FR"], "en", "Sign in"),
        ([], "en", "Sign in"),
    ],
)
def test_the_page_uses_the_first_language_that_it_has(
    page: Page, watch: Watch, tags: list[str], language: str, heading: str
) -> None:
    """It sets the document's language, and does not need Python for that."""
    prefer(page, tags)
    lose(page, PYSCRIPT)
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    watch.forgive("Failed to load", "NetworkError")


def test_the_page_is_german_before_python_runs(person: Person, page: Page) -> None:
    """The progress, the form and its labels are translated without Python."""
    release = hold(page, RUNTIME)
    page.goto("/")
    expect(page.get_by_role("progressbar", name="Python wird heruntergeladen")).to_be_visible()
    expect(page.get_by_label("Benutzername")).to_be_editable()
    assert english_in(page) == []
    release()
    person.waits_until_ready()


@pytest.mark.parametrize("language", ["en", "de"])
def test_without_the_translations_the_page_is_english(
    page: Page, watch: Watch, language: str
) -> None:
    """If the file cannot be loaded, everything else works, whatever else arrives later."""
    prefer(page, [language])
    lose(page, "**/translations.js")
    release = hold(page, "**/boot.js")
    with page.expect_event("requestfailed"):
        page.goto("/", wait_until="commit")
    release()
    Person(page).waits_until_ready().signs_in().is_at_notes()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    watch.forgive("Failed to load")


def test_another_language_is_one_entry_in_one_file(page: Page) -> None:
    """Nothing else names the languages: markup and Python take what the file has."""
    french = {"Sign in": "Se connecter", "Signed out": "Déconnecté"}
    added = f"{TRANSLATIONS.read_text('utf-8')}\nglobalThis.translations.fr = {json.dumps(french)};"
    page.route("**/translations.js", lambda route: route.fulfill(body=added))
    prefer(page, ["fr-CA", "de"])
    Person(page, french).opens().is_at_sign_in()
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(page.get_by_text("Déconnecté")).to_be_visible()
    expect(page).to_have_title("Se connecter · Unexpired")


def test_the_notes_view_is_german(person: Person, page: Page) -> None:
    """An error, a note with its date, and the hint of a draft are in German."""
    person.opens().signs_in(password="wrong")
    expect(person.alert).to_have_text("Der Benutzername oder das Passwort stimmt nicht.")
    person.signs_in().is_at_notes()
    note = person.adds("Farn gießen")
    expect(note.get_by_role("time")).to_have_text(re.compile(r"^\d+\.\d+\.\d{4}, \d+:\d+$"))
    expect(note.get_by_role("button", name="Notiz löschen: Farn gießen")).to_be_visible()
    expect(page.get_by_role("status", name="Sitzung")).to_contain_text("Angemeldet")
    person.new_note.fill("halb fertig")
    expect(page.get_by_text("Entwurf auf diesem Gerät gespeichert")).to_be_visible()
    expect(page).to_have_title("Notizen · Unexpired")


def test_a_servers_error_is_german(person: Person, page: Page) -> None:
    """An error response is translated by its code; the server's own text is in English."""
    person.opens().signs_in().is_at_notes()
    page.route(
        "**/api/notes",
        lambda route: route.fulfill(status=500, json={"error": "Oops.", "code": "SERVER_ERROR"}),
    )
    page.reload()
    expect(person.alert).to_have_text("Auf dem Server ist ein Fehler aufgetreten.")


def test_the_reason_for_a_sign_in_is_german(person: Person, page: Page) -> None:
    """The URL contains a code for the reason, which the page translates."""
    person.opens("/#/activity").signs_in()
    page.get_by_role("button", name="Mein Token beschädigen").click()
    person.is_at_sign_in()
    expect(person.alert).to_contain_text(EXPIRED)
    assert english_in(page) == []


def test_the_devices_view_is_german(person: Person, page: Page) -> None:
    """A device's name, its last use, and the result of a revocation are in German."""
    person.opens().signs_in("grace").is_at_notes()
    page.request.post("/api/login", data={"username": "grace", "password": "staple another horse"})
    page.goto("/#/devices")
    other = page.get_by_role("listitem").filter(has_not_text="dieses Gerät").first
    expect(other).to_contain_text(re.compile("Zuletzt benutzt: (jetzt|vor .+)"))
    other.get_by_role("button", name=re.compile(r"^\w+ auf \w+ abmelden$")).click()
    expect(page.get_by_text(re.compile(r"^\w+ auf \w+ ist abgemeldet\.$"))).to_be_visible()


def test_every_view_is_german_and_fits_a_narrow_screen(person: Person, page: Page) -> None:
    """No text is left in English, axe finds nothing, and nothing is too wide at 320 px."""
    page.set_viewport_size({"width": 320, "height": 800})
    page.emulate_media(reduced_motion="reduce")
    person.opens("/#/login")
    found = _problems(page)
    person.signs_in().is_at_notes()
    person.adds("Tokens laufen ab. Sitzungen sollten es nicht.")
    found += _problems(page)
    for path, heading in [("activity", "Aktivität"), ("devices", "Geräte")]:
        page.goto(f"/#/{path}")
        expect(person.heading(heading)).to_be_visible()
        _fill(page, path)
        found += _problems(page)
    page.goto("/#/secret-key")
    page.get_by_label("Einen vorhandenen Schlüssel prüfen").fill("secret")
    expect(page.get_by_text("er hat 32 Bit, nötig sind mindestens 256")).to_be_visible()
    assert found + _problems(page) == []


def _fill(page: Page, path: str) -> None:
    """Make the view show all that it can."""
    if path == "devices":
        expect(page.get_by_text("dieses Gerät")).to_be_visible()
        return
    for summary in page.locator("summary").all():
        summary.click()
    page.get_by_role("button", name="20 Anfragen auf einmal").click()
    expect(page.get_by_text("20-mal 200; 1 Erneuerung.")).to_be_visible()
    page.get_by_role("button", name="Offline gehen").click()
    expect(page.get_by_text(OFFLINE)).to_be_visible()
    page.get_by_role("button", name="Wieder online gehen").click()
    expect(page.get_by_text("Wieder online. Antwort auf eine Anfrage: 200")).to_be_visible()
    expect(page.get_by_role("row", name="Wiederholung").first).to_be_visible()


def _problems(page: Page) -> list[str]:
    page.evaluate(f"{AXE.read_text()}; null")
    too_wide = [f"{page.url}: {finding}" for finding in page.evaluate(OVERFLOW)]
    return [*page.evaluate(FINDINGS), *english_in(page), *too_wide]
