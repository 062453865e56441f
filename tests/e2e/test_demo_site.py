"""The demo whose server runs in the browser, in a folder of a static host that has nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

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
FORGETFUL = "This server runs in your browser, which keeps nothing of it"
THIEF_IS_REFUSED = (
    "without this browser's key: refused (INVALID_PROOF).",
    "With a key of the thief's own: refused (REFRESH_INVALID).",
    "You are still signed in.",
)
WITHOUT_SHARED_WORKER = "delete globalThis.SharedWorker"
WITHOUT_SERVICE_WORKER = "delete Navigator.prototype.serviceWorker"

SERVERS = "navigator.locks.query().then(({ held }) => held.map(({ name }) => name))"
RESTORED = "performance.getEntriesByName('python-restored').length"
# The worker of the server cannot be reached from here, so it is asked by a page.
ANSWER_PROBE = f"""
const probe = new BroadcastChannel("probe");
probe.onmessage = () => probe.postMessage({RESTORED});
"""
PROBE = """() => new Promise((resolve) => {
    const probe = new BroadcastChannel("probe");
    probe.onmessage = ({ data }) => resolve(data);
    probe.postMessage("");
})"""
DENIED = """
Object.defineProperty(globalThis, "indexedDB", {
    get() { throw new DOMException("denied", "SecurityError"); },
    configurable: true,
});
"""
FULL = """
IDBObjectStore.prototype.put = () => { throw new DOMException("full", "QuotaExceededError"); };
"""
DAMAGE = """(folder) => new Promise((resolve) => {
    indexedDB.open("unexpired-in-page", 1).onsuccess = ({ target: { result: database } }) => {
        const transaction = database.transaction("servers", "readwrite");
        const store = transaction.objectStore("servers");
        store.get(folder).onsuccess = ({ target: { result } }) => {
            result.content.fill(120, 16_384);
            store.put(result, folder);
        };
        transaction.oncomplete = () => { database.close(); resolve(); };
    };
})"""


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A static host with the site in a folder."""
    root = tmp_path_factory.mktemp("host")
    publish(built_demo_site(), root)
    with static_host(root) as address:
        yield address


def publish(site: Path, root: Path) -> None:
    """Put the site into a folder of the host, in the place of what was there."""
    place = root / FOLDER.strip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(site)


def changed_site(target: Path, changes: Mapping[str, str]) -> Path:
    """Return the site with something at the beginning of some of its files."""
    shutil.copytree(built_demo_site(), target, copy_function=link)
    for name, change in changes.items():
        (file,) = target.rglob(name)
        script = file.read_text("utf-8")
        file.unlink()
        file.write_text(change + script, "utf-8")
    return target


def link(source: str, copy: str) -> None:
    Path(copy).symlink_to(source)


@pytest.fixture
def changes() -> dict[str, str]:
    """What the site has in addition, by the name of the file; a test overrides this."""
    return {}


@pytest.fixture
def home(host: str, changes: dict[str, str], tmp_path: Path) -> Iterator[str]:
    if not changes:
        yield host
        return
    publish(changed_site(tmp_path / "site", changes), tmp_path / "host")
    with static_host(tmp_path / "host") as address:
        yield address


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
    for sentence in THIEF_IS_REFUSED:
        expect(writer.page.get_by_text(sentence)).to_be_visible()
    run(writer.page, "Expire")
    writer.page.goto(f"{FOLDER}#/devices")
    expect(writer.page.get_by_text("this device")).to_be_visible()
    assert watch.count("POST /api/refresh") >= 3


def run(page: Page, name: str) -> None:
    """Run an experiment, and wait for its result."""
    card = page.get_by_role("article").filter(has_text=name).first
    card.get_by_role("button").click()
    expect(card.get_by_role("status")).not_to_be_empty()


def test_the_server_starts_before_anything_is_pressed(person: Person) -> None:
    """It does while the person types; what the form says of the demo comes from it."""
    person.opens(FOLDER)
    assert f"unexpired-server@{FOLDER}" in person.page.evaluate(SERVERS)
    expect(person.page.get_by_text(SIGN_IN_AS)).to_be_visible()


@pytest.mark.parametrize("changes", [{"server_worker.mjs": ANSWER_PROBE}], ids=["probe"])
def test_page_and_server_start_from_their_snapshots(writer: Person) -> None:
    """Without them both start, too, but it takes seconds more."""
    assert writer.page.evaluate(RESTORED) == 1
    assert writer.page.evaluate(PROBE) == 1


@pytest.mark.parametrize(
    "changes",
    [{"kept_database.mjs": DENIED}, {"kept_database.mjs": FULL}],
    ids=["denied", "full"],
)
def test_where_nothing_can_be_kept_the_page_says_so(
    writer: Person, context: BrowserContext, watch: Watch, text: str
) -> None:
    """The server works nevertheless, as long as one of its tabs is open."""
    expect(writer.page.get_by_text(FORGETFUL)).to_be_visible()
    writer.adds(text)
    other = Person(context.new_page())
    other.opens(FOLDER).is_at_notes()
    expect(other.note(text)).to_be_visible()
    expect(other.page.get_by_text(FORGETFUL)).to_be_visible()
    watch.forgive("SecurityError: denied", "QuotaExceededError: full")


def test_a_damaged_database_gives_way_to_an_empty_one(writer: Person, text: str) -> None:
    """The session is gone with it, which the page says; the person can sign in again."""
    writer.adds(text)
    writer.page.goto("/")  # Outside of the site, so its server ends.
    writer.page.evaluate(DAMAGE, FOLDER)
    writer.opens(FOLDER).is_at_sign_in()
    expect(writer.alert.first).to_be_visible()
    writer.signs_in("demo", "demo").is_at_notes()
    expect(writer.note(text)).to_have_count(0)


@pytest.mark.parametrize("changes", [{"service_worker.js": "// The first version\n"}], ids=["own"])
def test_a_new_version_goes_on_when_the_tabs_of_the_last_are_closed(
    person: Person, context: BrowserContext, tmp_path: Path, text: str
) -> None:
    """Until then the older server answers the new page; nobody is signed out."""
    signed_in(person).adds(text)
    newer = {"service_worker.js": "// The next version\n"}
    publish(renewed(changed_site(tmp_path / "newer", newer)), tmp_path / "host")
    other = Person(context.new_page())
    other.opens(FOLDER).is_at_notes()
    expect(other.note(text)).to_be_visible()
    later = f"{text}, later"
    other.adds(later)
    expect(person.note(later)).to_be_visible()
    person.page.close()
    for number in range(2):
        other.adds(f"{text}, by the newer {number}")
        other.page.reload()
        other.waits_until_ready().is_at_notes()
    expect(other.note(text)).to_have_count(4)


def renewed(site: Path) -> Path:
    """Return a site whose server has another address, as that of any other content has."""
    (worker,) = site.rglob("server_worker.mjs")
    folder = worker.parent
    index = site / "index.html"
    page = index.read_text("utf-8").replace(folder.name, "0123456789abcdef")
    index.unlink()
    index.write_text(page, "utf-8")
    for file in folder.glob("*.json"):
        settings = file.read_text("utf-8").replace(folder.name, "0123456789abcdef")
        file.unlink()
        file.write_text(settings, "utf-8")
    folder.rename(folder.with_name("0123456789abcdef"))
    return site


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
    writer.page.add_init_script("globalThis.controller = navigator.serviceWorker.controller")
    if browser_name == "chromium":
        devtools = context.new_cdp_session(writer.page)
        devtools.send("Page.reload", {"ignoreCache": True})
    else:
        writer.page.evaluate("location.reload(true)")
    writer.page.wait_for_function("globalThis.controller === null")
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
