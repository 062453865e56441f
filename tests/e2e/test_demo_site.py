"""The demo whose server runs in the browser, in a folder of a static host that has nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.conftest import TIMEOUT_MS
from tests.e2e.person import Person
from tests.e2e.watch import Watch
from tests.support.built_page import built_demo_site
from tests.support.static_host import static_host

FOLDER = "/projects/notes/"
RUNS_HERE = "This server runs in your browser."
SIGN_IN_AS = "This server is a demonstration: demo / demo"
CANNOT_START = "The server of this demo cannot start in this browser."
WITHOUT_SHARED_WORKER = "delete globalThis.SharedWorker"
WITHOUT_SERVICE_WORKER = "delete Navigator.prototype.serviceWorker"


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A static host with the site in a folder."""
    root = tmp_path_factory.mktemp("host")
    site = root / FOLDER.strip("/")
    site.parent.mkdir()
    site.symlink_to(built_demo_site())
    with static_host(root) as address:
        yield address


@pytest.fixture
def home(host: str) -> str:
    return host


@pytest.fixture
def called(home: str) -> str:
    return home


@pytest.fixture
def context(browser: Browser, home: str) -> Iterator[BrowserContext]:
    """A browser that has not seen the site: no Service Worker, and no database."""
    with browser.new_context(base_url=home) as context:
        context.set_default_timeout(TIMEOUT_MS)
        yield context


@pytest.fixture
def writer(person: Person) -> Person:
    """A person who is signed in and sees their notes."""
    return signed_in(person)


def signed_in(person: Person) -> Person:
    person.opens(FOLDER)
    expect(person.page.get_by_text(SIGN_IN_AS)).to_be_visible()
    person.signs_in("demo", "demo").is_at_notes()
    return person


def test_a_session_and_notes_survive_a_reload(writer: Person, watch: Watch, text: str) -> None:
    """Nothing but files is asked of the host, and the page says where the server is."""
    expect(writer.page.get_by_text(RUNS_HERE)).to_be_visible()
    writer.adds(text)
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.note(text)).to_be_visible()
    assert watch.count("POST /api/login") == 1
    assert not [answer for answer in watch.answers if answer.status == 404]


def test_an_expiry_is_healed_and_a_thief_gets_nothing(writer: Person, watch: Watch) -> None:
    """Access tokens live for 20 seconds; sessions are bound to a key of this browser."""
    writer.page.goto(f"{FOLDER}#/activity")
    run(writer.page, "Steal")
    expect(writer.page.get_by_text("You are still signed in.")).to_be_visible()
    run(writer.page, "Expire")
    writer.page.goto(f"{FOLDER}#/devices")
    expect(writer.page.get_by_text("this device")).to_be_visible()
    assert watch.count("POST /api/refresh") >= 3


def run(page: Page, name: str) -> None:
    """Run an experiment, and wait for its result."""
    card = page.get_by_role("article").filter(has_text=name).first
    card.get_by_role("button").click()
    expect(card.get_by_role("status")).not_to_be_empty()


def test_a_second_tab_shares_the_server_and_is_signed_out_everywhere(
    writer: Person, context: BrowserContext, text: str
) -> None:
    writer.adds(text)
    other = Person(context.new_page())
    other.opens(FOLDER).is_at_notes()
    expect(other.note(text)).to_be_visible()
    other.page.goto(f"{FOLDER}#/devices")
    other.page.get_by_role("button", name="Sign out everywhere").click()
    other.page.get_by_role("button", name="Sign out of all devices").click()
    other.is_at_sign_in()
    writer.is_at_sign_in()
    writer.signs_in("demo", "demo").is_at_notes()
    expect(writer.note(text)).to_be_visible()


def test_a_revoked_session_ends_with_a_sentence(writer: Person) -> None:
    writer.page.goto(f"{FOLDER}#/activity")
    writer.page.get_by_role("button", name="Revoke my session").click()
    writer.is_at_sign_in()
    expect(writer.alert.first).to_be_visible()


def test_a_page_loaded_past_the_service_worker_waits_for_it(
    writer: Person, context: BrowserContext, browser_name: str, text: str
) -> None:
    """After a hard reload no Service Worker controls the page, until it is claimed."""
    writer.adds(text)
    if browser_name == "chromium":
        devtools = context.new_cdp_session(writer.page)
        devtools.send("Page.reload", {"ignoreCache": True})
    else:
        writer.page.evaluate("location.reload(true)")
    writer.waits_until_ready().is_at_notes()
    expect(writer.note(text)).to_be_visible()


def test_without_shared_workers_one_tab_serves_all(
    context: BrowserContext, person: Person, text: str
) -> None:
    """When it is closed, another one takes over, with the database as it was."""
    context.add_init_script(WITHOUT_SHARED_WORKER)
    signed_in(person).adds(text)
    other = Person(context.new_page())
    other.opens(FOLDER).is_at_notes()
    expect(other.note(text)).to_be_visible()
    person.page.close()
    later = f"{text}, later"
    other.adds(later)
    other.page.reload()
    other.waits_until_ready().is_at_notes()
    expect(other.note(later)).to_be_visible()


def test_where_the_server_cannot_start_the_page_says_so(
    context: BrowserContext, person: Person, watch: Watch
) -> None:
    context.add_init_script(WITHOUT_SERVICE_WORKER)
    person.opens(FOLDER)
    expect(person.alert.filter(has_text=CANNOT_START)).to_be_visible()
    expect(person.page.get_by_text(RUNS_HERE)).to_be_hidden()
    watch.forgive("There is no Service Worker here.")


def test_the_page_says_in_german_where_the_server_is(browser: Browser, home: str) -> None:
    with browser.new_context(base_url=home, locale="de") as context:
        page = context.new_page()
        page.goto(FOLDER)
        expect(page.get_by_text("Dies ist eine Demonstration: demo / demo")).to_be_visible()
        expect(page.get_by_text("Dieser Server läuft in Ihrem Browser.")).to_be_visible()
