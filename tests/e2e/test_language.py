"""The page in German, for whoever's browser prefers it; in English for everybody else."""

import json
import re
from functools import cache

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.conftest import PATIENCE_MS, ContextFactory
from tests.e2e.faults import hold, lose
from tests.e2e.person import Person
from tests.e2e.test_access import AXE, FINDINGS, OVERFLOW
from tests.e2e.watch import Watch
from tests.page.translations import languages

RUNTIME = "**/pyodide.asm.wasm"
PYSCRIPT = "**/core.js"
HEARD = """() => {
    const heard = [document.title];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) heard.push(texts.currentNode.data.trim().replace(/\\s+/g, " "));
    for (const name of ["aria-label", "placeholder", "title"])
        for (const element of document.querySelectorAll(`[${name}]`))
            heard.push(element.getAttribute(name));
    return heard;
}"""
WORDS = languages()["de"]
ENGLISH = re.compile(
    "|".join(
        re.escape(sentence).replace(r"\{\}", ".+")
        for sentence, german in WORDS.items()
        if german != sentence
    )
)
OFFLINE = (
    "Offline: Der Server ist gerade nicht erreichbar. Bitte versuchen Sie es noch einmal."
    " Sie sind weiterhin angemeldet (getrennt)."
)
EXPIRED = "Ihre Sitzung ist abgelaufen. Bitte melden Sie sich neu an."


def english_in(page: Page) -> list[str]:
    """What the page says in English, although it knows the German for it."""
    return [text for text in page.evaluate(HEARD) if ENGLISH.fullmatch(text)]


def prefer(page: Page, tags: list[str]) -> None:
    """Have the browser name these languages, the best first."""
    page.add_init_script(
        f"Object.defineProperty(navigator, 'languages', {{ get: () => {json.dumps(tags)} }})"
    )


@pytest.fixture(scope="session")
def context_of(browser: Browser) -> ContextFactory:
    """A browser that prefers German, for each server."""

    @cache
    def factory(url: str) -> BrowserContext:
        context = browser.new_context(base_url=url, locale="de-DE")
        context.set_default_timeout(PATIENCE_MS)
        return context

    return factory


@pytest.fixture
def person(page: Page) -> Person:
    """Somebody who reads German."""
    return Person(page, WORDS)


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
def test_the_page_speaks_the_first_language_that_it_shares_with_the_person(
    page: Page, watch: Watch, tags: list[str], language: str, heading: str
) -> None:
    """It says which one to assistive technology, and does not need Python for it."""
    prefer(page, tags)
    lose(page, PYSCRIPT)
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    watch.forgive("Failed to load", "NetworkError")


def test_all_is_german_before_python_runs(person: Person, page: Page) -> None:
    """What is loading, the form and its labels: nothing of it waits for Python."""
    release = hold(page, RUNTIME)
    page.goto("/")
    expect(page.get_by_role("progressbar", name="Python wird gestartet")).to_be_visible()
    expect(page.get_by_label("Benutzername")).to_be_editable()
    assert english_in(page) == []
    release()
    person.waits_until_ready()


def test_without_the_catalogue_the_page_speaks_english(page: Page, watch: Watch) -> None:
    """A file that cannot be loaded costs the language and nothing else."""
    lose(page, "**/translations.js")
    Person(page).opens().signs_in().is_at_notes()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    watch.forgive("Failed to load")


def test_notes_are_written_in_german(person: Person, page: Page) -> None:
    """A wrong password, a note, its date, a draft."""
    person.opens().signs_in(password="wrong")
    expect(person.alert).to_have_text("Der Benutzername oder das Passwort stimmt nicht.")
    person.signs_in().is_at_notes()
    note = person.adds("Farn gießen")
    expect(note.get_by_role("time")).to_have_text(re.compile(r"^\d+\.\d+\.\d{4}, \d+:\d+$"))
    expect(note.get_by_role("button", name="Notiz löschen: Farn gießen")).to_be_visible()
    expect(page.get_by_role("status", name="Sitzung")).to_contain_text("aktiv")
    person.new_note.fill("halb fertig")
    expect(page.get_by_text("Entwurf auf diesem Gerät gesichert")).to_be_visible()
    expect(page).to_have_title("Notizen · Unexpired")


def test_a_server_is_told_of_in_german(person: Person, page: Page) -> None:
    """A reply is told by its code, even where the server's own words are English."""
    person.opens().signs_in().is_at_notes()
    page.route(
        "**/api/notes",
        lambda route: route.fulfill(status=500, json={"error": "Oops.", "code": "SERVER_ERROR"}),
    )
    page.reload()
    expect(person.alert).to_have_text("Auf dem Server ist etwas schiefgegangen.")


def test_the_end_of_a_session_is_told_in_german(person: Person, page: Page) -> None:
    """The reason stands in the address in no language; the page says it in the person's."""
    person.opens("/#/activity").signs_in()
    page.get_by_role("button", name="Mein Token beschädigen").click()
    person.is_at_sign_in()
    expect(person.alert).to_contain_text(EXPIRED)
    assert english_in(page) == []


def test_another_device_is_signed_out_in_german(person: Person, page: Page) -> None:
    """A device, when it was used, and what has become of it."""
    person.opens().signs_in("grace").is_at_notes()
    page.request.post("/api/login", data={"username": "grace", "password": "staple another horse"})
    page.goto("/#/devices")
    other = page.get_by_role("listitem").filter(has_not_text="dieses Gerät").first
    expect(other).to_contain_text(re.compile("Zuletzt benutzt: (jetzt|vor .+)"))
    other.get_by_role("button", name=re.compile(r"^\w+ auf \w+ abmelden$")).click()
    expect(page.get_by_text(re.compile(r"^\w+ auf \w+ ist abgemeldet\.$"))).to_be_visible()


def test_every_view_is_german_and_fits_a_narrow_screen(person: Person, page: Page) -> None:
    """No English sentence is left, axe finds nothing, nothing sticks out at 320 px."""
    page.set_viewport_size({"width": 320, "height": 800})
    page.emulate_media(reduced_motion="reduce")
    person.opens("/#/login")
    found = _faults(page)
    person.signs_in().is_at_notes()
    person.adds("Tokens laufen ab. Sitzungen sollten es nicht.")
    found += _faults(page)
    for path, heading in [("activity", "Aktivität"), ("devices", "Geräte")]:
        page.goto(f"/#/{path}")
        expect(person.heading(heading)).to_be_visible()
        _furnish(page, path)
        found += _faults(page)
    page.goto("/#/secret-key")
    page.get_by_label("Einen vorhandenen Schlüssel prüfen").fill("secret")
    expect(page.get_by_text("er hat 32 Bit, nötig sind mindestens 256")).to_be_visible()
    assert found + _faults(page) == []


def _furnish(page: Page, path: str) -> None:
    """Have the view show what it can show."""
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


def _faults(page: Page) -> list[str]:
    page.evaluate(f"{AXE.read_text()}; null")
    found = [*page.evaluate(FINDINGS), *english_in(page)]
    sticks_out: int = page.evaluate(OVERFLOW)
    return [*found, f"{page.url}: {sticks_out} px too wide"] if sticks_out > 0 else found
