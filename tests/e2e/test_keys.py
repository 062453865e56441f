"""The keys that sessions are bound to, in several tabs of one browser."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from playwright.sync_api import BrowserContext

from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory
from tests.e2e.watch import Watch

UNBOUND = "this browser keeps no key"

SET_UP = """
import time
from unexpired.browser import database
from unexpired.browser.keys import CREATE_TIMEOUT, KEPT, MemoryKeys, PageKeys
from unexpired.errors import Unreachable
from unexpired.proofs import KeyLost
from pyodide.ffi import create_proxy

async def opened(keys, handle):
    try:
        return dict((await keys.open(handle)).public)
    except (KeyLost, Unreachable) as error:
        return type(error).__name__

async def create_in_1970():
    time.time, now = lambda: 0.0, time.time
    try:
        return await keys.create()
    finally:
        time.time = now

async def finished():
    while tasks := set(keys._background):
        await asyncio.wait(tasks)

keys = PageKeys()
None
"""

STORED = """async () => {
  const opening = indexedDB.open("unexpired-keys");
  opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
  await new Promise((done) => { opening.onsuccess = done; });
  const database = opening.result;
  const asking = database.transaction("keys").objectStore("keys").getAll();
  await new Promise((done) => { asking.onsuccess = done; });
  database.close();
  return Promise.all(asking.result.map(async ({ privateKey }) => {
    const exported = await Promise.all(["jwk", "pkcs8"].map((format) =>
      crypto.subtle.exportKey(format, privateKey).then(() => "exported", () => "refused")));
    return [privateKey.type, privateKey.extractable, ...exported];
  }));
}"""

DELETE = """() => new Promise((done, failed) => {
  const request = indexedDB.deleteDatabase("unexpired-keys");
  request.onsuccess = () => done("deleted");
  request.onblocked = () => failed("blocked");
})"""

# What browsers do to pages, and RESTORE undoes.
DENIED = """() => {
  indexedDB.open = () => { throw new DOMException("denied", "SecurityError"); };
}"""
HUNG = """() => {
  const released = new Promise((done) => { globalThis.letGo = done; });
  indexedDB.open = (...names) => {
    const request = { result: null, error: null };
    released.then(() => {
      const opening = reallyOpen.apply(indexedDB, names);
      for (const name of ["onupgradeneeded", "onsuccess", "onerror"])
        opening[name] = (event) => {
          request.result = opening.result;
          request[name]?.(event);
        };
    });
    return request;
  };
}"""
COUNTED = """() => {
  globalThis.opened = 0;
  indexedDB.open = (...names) => {
    opened += 1;
    return reallyOpen.apply(indexedDB, names);
  };
}"""
# As WebKit does in its Lockdown Mode (a key cannot be cloned), and on the way ends the transaction.
UNCLONABLE = """() => {
  IDBObjectStore.prototype.put = function () {
    this.transaction.abort();
    throw new DOMException("not cloned", "DataCloneError");
  };
}"""
# As WebKit does while the system's keychain is locked.
WRAPPED = """(handle) => new Promise((done) => {
  const opening = indexedDB.open("unexpired-keys");
  opening.onsuccess = () => {
    const transaction = opening.result.transaction("keys", "readwrite");
    transaction.objectStore("keys").put(null, handle);
    transaction.oncomplete = () => { opening.result.close(); done(); };
  };
})"""
INSECURE = "Object.defineProperty(crypto, 'subtle', { value: undefined, configurable: true })"
RESTORE = """() => {
  globalThis.reallyOpen ??= indexedDB.open;
  globalThis.reallyPut ??= IDBObjectStore.prototype.put;
  indexedDB.open = reallyOpen;
  IDBObjectStore.prototype.put = reallyPut;
  delete crypto.subtle;
}"""


@pytest.fixture(scope="session")
def two_tabs(context_of: ContextFactory, serve: ServerFactory) -> list[Library]:
    """Two tabs with the library, started once."""
    context = context_of(serve().url)
    return [Library(context.new_page()) for _ in range(2)]


@pytest.fixture
def context(two_tabs: list[Library]) -> BrowserContext:
    """The browser context of the tabs."""
    return two_tabs[0].page.context


@pytest.fixture
def tabs(two_tabs: list[Library], watch: Watch) -> list[Library]:
    """Both tabs, with no key in the browser."""
    for tab in two_tabs:
        tab.page.evaluate(RESTORE)
        tab.run(SET_UP)
    two_tabs[0].page.evaluate(DELETE)
    watch.complaints.clear()
    return two_tabs


@pytest.fixture
def tab(tabs: list[Library]) -> Library:
    """One tab."""
    return tabs[0]


@pytest.fixture
def other(tabs: list[Library]) -> Library:
    """Another tab of the same browser."""
    return tabs[1]


def verify(public: dict[str, str], signature: str, message: bytes) -> None:
    """Verify a signature of ES256 by other code than ours (RFC 7518, section 3.4)."""
    x, y = (int.from_bytes(base64.urlsafe_b64decode(f"{public[it]}=")) for it in "xy")
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    raw = bytes.fromhex(signature)
    assert len(raw) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    key.verify(der, message, ec.ECDSA(hashes.SHA256()))


def test_another_tab_and_a_reload_sign_with_the_same_key(tab: Library, other: Library) -> None:
    """What one has made all can use, and the signatures are those of the public key."""
    handle = tab.run("handle = await keys.create()\nhandle")
    public = tab.run("await opened(keys, handle)")
    assert set(public) == {"kty", "crv", "x", "y"}
    tab.page.reload()
    reloaded = Library(tab.page)
    reloaded.run(SET_UP)
    for later in (other, reloaded):
        assert later.run(f"await opened(keys, {handle!r})") == public
        sign = f"(await (await keys.open({handle!r})).sign(b'a message')).hex()"
        verify(public, later.run(sign), b"a message")


def test_no_script_can_read_a_key(tab: Library) -> None:
    """The database holds it, and the browser does not export it."""
    tab.run("await keys.create()")
    assert tab.page.evaluate(STORED) == [["private", False, "refused", "refused"]]


def test_a_forgotten_key_is_lost_to_every_tab(tab: Library, other: Library) -> None:
    """It is removed from the database without waiting; forgetting it twice is no error."""
    handle = tab.run(
        "handle = await keys.create()\nkeys.forget(handle)\nkeys.forget(handle)\nhandle"
    )
    tab.run("await finished()")
    assert tab.page.evaluate(STORED) == []
    assert tab.run("await opened(keys, handle)") == "KeyLost"
    assert other.run(f"await opened(keys, {handle!r})") == "KeyLost"


def test_a_database_that_was_deleted_has_lost_its_keys(tab: Library, other: Library) -> None:
    """Nothing of ours keeps the browser, or the person, from deleting it."""
    handle = tab.run("handle = await keys.create()\nhandle")
    other.run(f"await opened(keys, {handle!r})")
    assert tab.page.evaluate(DELETE) == "deleted"
    assert tab.run("await opened(PageKeys(), handle)") == "KeyLost"
    assert tab.run("len(await keys.create()) > 0")


def test_a_tab_goes_on_with_the_key_that_it_has_read(tab: Library) -> None:
    """Eviction ends the session at the next start, not in the middle of somebody's work."""
    tab.run("handle = await keys.create()\nNone")
    tab.page.evaluate(DELETE)
    assert "x" in tab.run("await opened(keys, handle)")


def test_where_the_database_is_denied_there_is_no_key(tab: Library, watch: Watch) -> None:
    """A sign-in goes on without one; a session that has one cannot be refreshed now."""
    handle = tab.run("handle = await keys.create()\nhandle")
    tab.page.evaluate(DENIED)
    assert tab.run("await keys.create()") is None
    assert tab.run(f"await opened(PageKeys(), {handle!r})") == "Unreachable"
    assert tab.run("await MemoryKeys().create() is not None")
    watch.forgive(f"{UNBOUND} (denied)")


def test_a_silent_database_delays_a_sign_in_by_two_seconds(tab: Library, watch: Watch) -> None:
    """What it has stored when it answers at last is removed."""
    tab.page.evaluate(HUNG)
    tab.run("start = js.performance.now()\nhandle = await keys.create()\nNone")
    assert tab.run("handle") is None
    watch.forgive(f"{UNBOUND} (no answer)")
    assert tab.run("1.9 < (js.performance.now() - start) / 1000 < 2 * CREATE_TIMEOUT")
    tab.run("js.letGo()\nawait finished()")
    tab.page.evaluate(RESTORE)
    assert tab.page.evaluate(STORED) == []


def test_a_sign_in_that_is_cancelled_leaves_no_key(tab: Library) -> None:
    """The key may be stored by then, or later."""
    tab.page.evaluate(HUNG)
    tab.run(
        "making = asyncio.ensure_future(keys.create())\n"
        "await asyncio.sleep(0)\n"
        "making.cancel()\n"
        "await asyncio.wait({making})\n"
        "js.letGo()\n"
        "await finished()"
    )
    assert tab.run("making.cancelled()")
    tab.page.evaluate(RESTORE)
    assert tab.page.evaluate(STORED) == []


def test_a_key_that_cannot_be_stored_binds_nothing_and_leaves_no_error(
    tab: Library, watch: Watch
) -> None:
    """Python's loop would complain about one that nobody has looked at."""
    tab.run(
        "from unexpired.browser import keys as module\n"
        "made, first_event = [], module.first_event\n"
        "def noting(*events):\n"
        "    made.append(first_event(*events))\n"
        "    return made[-1]\n"
        "module.first_event = noting\n"
        "None"
    )
    tab.page.evaluate(UNCLONABLE)
    assert tab.run("await keys.create()") is None
    watch.forgive(UNBOUND)
    tab.run("await finished()\nawait asyncio.sleep(0.1)\nmodule.first_event = first_event")
    assert tab.run("[it._log_traceback for it in made]") == [False, False]


def test_a_key_that_is_there_and_cannot_be_read_now_is_not_lost(tab: Library) -> None:
    """The session waits, as in an outage."""
    handle = tab.run("handle = await keys.create()\nhandle")
    tab.page.evaluate(WRAPPED, handle)
    assert tab.run("await opened(PageKeys(), handle)") == "Unreachable"


def test_an_insecure_page_has_no_key(tab: Library, watch: Watch) -> None:
    """There WebCrypto is missing, so neither kind of keys has any."""
    tab.page.evaluate(INSECURE)
    assert tab.run("[await PageKeys().create(), await MemoryKeys().create()]") == [None, None]
    watch.forgive(f"{UNBOUND} (keys need HTTPS, or a page on localhost)")


def test_keys_in_memory_are_gone_with_the_page(tab: Library) -> None:
    """They sign as the others do; nothing is stored."""
    tab.run("memory = MemoryKeys()\nhandle = await memory.create()\nNone")
    public = tab.run("await opened(memory, handle)")
    verify(public, tab.run("(await (await memory.open(handle)).sign(b'a')).hex()"), b"a")
    assert tab.page.evaluate(STORED) == []
    assert tab.run("await opened(MemoryKeys(), handle)") == "KeyLost"
    assert tab.run("memory.forget(handle)\nawait opened(memory, handle)") == "KeyLost"


def test_only_the_newest_keys_are_kept(tab: Library) -> None:
    """A session that was left behind leaves its key; the one just made is never the surplus."""
    tab.run("made = [await keys.create() for _ in range(KEPT + 2)]\nNone")
    assert len(tab.page.evaluate(STORED)) == tab.run("KEPT")
    assert tab.run("[await opened(PageKeys(), it) for it in made[:2]]") == ["KeyLost"] * 2
    tab.run("early = await create_in_1970()\nNone")
    assert "x" in tab.run("await opened(PageKeys(), early)")


def test_many_calls_at_once_read_a_key_once(tab: Library) -> None:
    """Signing needs the database only after a start."""
    tab.run("handle = await keys.create()\nkeys = PageKeys()\nNone")
    tab.page.evaluate(COUNTED)
    tab.run("await asyncio.gather(*[keys.open(handle) for _ in range(100)])\nNone")
    assert tab.page.evaluate("opened") == 1


def test_no_proxy_is_left(tab: Library) -> None:
    """JavaScript never lets go of a Python object by itself."""
    tab.run(
        "made = []\n"
        "def noting(function):\n"
        "    made.append(create_proxy(function))\n"
        "    return made[-1]\n"
        "database.create_proxy = noting\n"
        "handle = await keys.create()\n"
        "await opened(PageKeys(), handle)\n"
        "keys.forget(handle)\n"
        "await finished()\n"
        "database.create_proxy = create_proxy\n"
        "def is_destroyed(proxy):\n"
        "    try:\n"
        "        proxy.unwrap()\n"
        "    except Exception:\n"
        "        return True\n"
        "    return False\n"
        "None"
    )
    assert tab.run("len(made)") > 10
    assert tab.run("all(map(is_destroyed, made))")
