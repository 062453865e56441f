"""The keys that sessions are bound to (RFC 9449), in a browser: to sign with, never to be shown.

WebCrypto makes a private key that no script can read, and IndexedDB keeps it as it is. So all tabs
and workers of an origin sign with one key, and a copy of everything that a script can read holds
no key. Browsers that have neither, and pages without HTTPS, have sessions without a key.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, TypeVar

import js
from pyodide.ffi import JsException, JsProxy, to_js

from unexpired.browser.database import IndexedDBError, first_event, open_database
from unexpired.browser.host import js_global
from unexpired.errors import Unreachable
from unexpired.proofs import KeyLost
from unexpired.timers import Background, timeout_after

if TYPE_CHECKING:
    from unexpired.ports import ProofKey, Prover

DATABASE = "unexpired-keys"
OBJECTS = "keys"
KEPT = 100
"""A session that nobody signs out leaves its key behind: that of a closed tab, for one."""

CREATE_TIMEOUT = 2.0  # s. A sign-in waits no longer for a key.
OPEN_TIMEOUT = 5.0  # s. Some browsers never answer while another version of the page is open.

_PUBLIC = ("kty", "crv", "x", "y")
_log = logging.getLogger("unexpired")

Result = TypeVar("Result")


class NoKeysError(Exception):
    """This host keeps no keys; the text says why."""


class WebCryptoKey:
    """An ES256 key of WebCrypto.

    Args:
        js_key: The private key, which cannot be exported.
        public: The public key, as a JWK.
    """

    def __init__(self, js_key: Any, public: Mapping[str, str]) -> None:
        self._js_key = js_key
        self._public = public

    @property
    def public(self) -> Mapping[str, str]:
        """The public key; see ``ProofKey``."""
        return self._public

    async def sign(self, message: bytes) -> bytes:
        """Return the signature; see ``ProofKey``."""
        try:
            js_signature = await js.crypto.subtle.sign(_signing(), self._js_key, to_js(message))
        except JsException:
            raise Unreachable from None
        signature: bytes = js_signature.to_bytes()
        return signature


class MemoryKeys:
    """Keys that last until the page closes, for sessions that are kept in memory as well."""

    def __init__(self) -> None:
        self._keys: dict[str, WebCryptoKey] = {}

    async def create(self) -> str | None:
        """Make a key; see ``Prover``."""
        handle = _new_handle()
        try:
            async with timeout_after(CREATE_TIMEOUT):
                self._keys[handle] = await _key_of(await _make_pair())
        except (JsException, NoKeysError, TimeoutError) as error:
            _warn(error)
            return None
        return handle

    async def open(self, key: str) -> WebCryptoKey:
        """Return a key; see ``Prover``."""
        try:
            return self._keys[key]
        except KeyError:
            raise KeyLost from None

    def forget(self, key: str) -> None:
        """Remove a key; see ``Prover``."""
        self._keys.pop(key, None)


class PageKeys:
    """Keys in IndexedDB, which all pages and workers of an origin use.

    The database is open only while something is read or written, so that it is in nobody's way. A
    key that was read stays in memory.
    """

    def __init__(self) -> None:
        self._reading: dict[str, asyncio.Task[WebCryptoKey]] = {}  # Done, too: it has the key.
        self._background = Background()

    async def create(self) -> str | None:
        """Make a key, store it, and sign with what was stored; see ``Prover``."""
        handle = _new_handle()
        making = self._background.start(self._make(handle))
        try:
            await _within(CREATE_TIMEOUT, making)
        except BaseException as error:  # A sign-in that is cancelled leaves no key either.
            making.add_done_callback(lambda _: self.forget(handle))
            if not isinstance(error, (*_FAILURES, KeyLost, Unreachable)):
                raise
            _warn(error)
            return None
        return handle

    async def open(self, key: str) -> WebCryptoKey:
        """Return a key; see ``Prover``."""
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = self._background.start(_read(key))
        try:
            return await _within(OPEN_TIMEOUT, reading)
        except (*_FAILURES, KeyLost) as error:
            if self._reading.get(key) is reading:
                del self._reading[key]  # The next attempt opens the database again.
            raise error if isinstance(error, KeyLost) else Unreachable from None

    def forget(self, key: str) -> None:
        """Remove a key, later; see ``Prover``."""
        self._reading.pop(key, None)
        self._background.start(_remove(key))

    async def _make(self, handle: str) -> None:
        await _store(handle, await _make_pair())
        key = await self.open(handle)
        await key.sign(b"probe")


# -- WebCrypto ---------------------------------------------------------------------------------


async def _make_pair() -> Any:
    js_subtle = getattr(js_global("crypto"), "subtle", None)
    if not isinstance(js_subtle, JsProxy):
        raise NoKeysError("keys need HTTPS, or a page on localhost")
    return await js_subtle.generateKey(_curve(), False, to_js(["sign"]))  # noqa: FBT003


async def _key_of(js_pair: Any) -> WebCryptoKey:
    js_jwk = await js.crypto.subtle.exportKey("jwk", js_pair.publicKey)
    return WebCryptoKey(js_pair.privateKey, {name: getattr(js_jwk, name) for name in _PUBLIC})


@cache
def _curve() -> Any:
    return to_js({"name": "ECDSA", "namedCurve": "P-256"}, dict_converter=js.Object.fromEntries)


@cache
def _signing() -> Any:
    return to_js({"name": "ECDSA", "hash": "SHA-256"}, dict_converter=js.Object.fromEntries)


# -- IndexedDB ---------------------------------------------------------------------------------


def _new_handle() -> str:
    """Return a name that sorts behind the older ones."""
    return f"{int(time.time() * 1000):013d}-{token_urlsafe(12)}"


async def _store(handle: str, js_pair: Any) -> None:
    """Store a key, and remove the oldest ones if there are too many."""
    async with _objects("readwrite") as js_objects:
        js_objects.put(js_pair, handle)
        js_handles = js_objects.getAllKeys()
    others = [it for it in js_handles.result.to_py() if it != handle]
    surplus = others[: 1 - KEPT]
    if surplus:
        await _remove(*surplus)


async def _read(handle: str) -> WebCryptoKey:
    async with _objects("readonly") as js_objects:
        js_count, js_request = js_objects.count(handle), js_objects.get(handle)
    if not js_count.result:
        raise KeyLost
    if not isinstance(js_request.result, JsProxy):  # WebKit: the keychain does not unwrap it now.
        raise IndexedDBError("unreadable")
    return await _key_of(js_request.result)


async def _remove(*handles: str) -> None:
    async with _objects("readwrite") as js_objects:
        for handle in handles:
            js_objects.delete(handle)


@asynccontextmanager
async def _objects(mode: str) -> AsyncIterator[Any]:
    """Make the requests of a block, which may not wait, as one transaction; wait for its end.

    What a strict one has written survives a crash of the machine (Indexed Database API 3.0, 4.9):
    else a stored session could come back without its key.
    """
    if js_global("indexedDB") is None:
        raise NoKeysError("there is no IndexedDB to keep keys in")
    js_database = await open_database(DATABASE, OBJECTS)
    try:
        js_transaction = js_database.transaction(OBJECTS, mode, _strict())
        ended = first_event(js_transaction, "oncomplete", "onabort")
        try:
            yield js_transaction.objectStore(OBJECTS)
        except BaseException:
            ended.cancel()  # Nobody waits for it any longer.
            raise
        await ended
    finally:
        js_database.close()


@cache
def _strict() -> Any:
    return to_js({"durability": "strict"}, dict_converter=js.Object.fromEntries)


# -- Failures ----------------------------------------------------------------------------------

_FAILURES = (JsException, IndexedDBError, NoKeysError, TimeoutError)


async def _within(seconds: float, task: asyncio.Task[Result]) -> Result:
    """Return what a task returns, which goes on if it takes longer."""
    if not task.done():
        async with timeout_after(seconds):
            await asyncio.wait({task})
    return task.result()


def _warn(error: Exception) -> None:
    reason = error.name if isinstance(error, JsException) else str(error) or "no answer"
    _log.warning("this browser keeps no key (%s): the session is bound to none", reason)


if TYPE_CHECKING:
    _key: type[ProofKey] = WebCryptoKey
    _provers: tuple[type[Prover], ...] = (PageKeys, MemoryKeys)
