"""Browser implementations of the ports. Only the modules of this package touch JavaScript."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from unexpired.cookie_store import CookieStore, PreloadedCookieStore, marker_key
from unexpired.errors import no_browser
from unexpired.origins import DEFAULT_STORAGE_KEY, api_of, storage_key_of
from unexpired.ports import MemoryStore, Navigator, NoNavigator, PreloadedStore, TokenStore
from unexpired.session_record import move_old_record

try:
    from pyodide.ffi import can_run_sync, run_sync

    from unexpired.browser.fetch import FetchTransport
    from unexpired.browser.host import has_document, page_url
    from unexpired.browser.indexed_db import IndexedDBStore, SharedLock
    from unexpired.browser.keys import MemoryKeys, PageKeys
    from unexpired.browser.lifecycle import Wakeable, is_visible, wake_on_events
    from unexpired.browser.locks import open_lock
    from unexpired.browser.navigation import BrowserNavigator
    from unexpired.browser.storage import open_store
    from unexpired.browser.tab_copies import TabStore
except ModuleNotFoundError as _error:
    raise no_browser(_error) from _error

if TYPE_CHECKING:
    from unexpired.ports import Prover, SignInPlace, SyncTransport, Transport

_log = logging.getLogger("unexpired")

Built = TypeVar("Built")
BuiltWakeable = TypeVar("BuiltWakeable", bound=Wakeable)

__all__ = ["FetchTransport", "connect", "connect_sync", "open_lock", "share_session"]


def connect(
    build: Callable[..., BuiltWakeable], *, transport: Transport | None = None, **options: Any
) -> BuiltWakeable:
    """Return an async client on the page's fetch, storage, locks and navigation.

    Args:
        build: The class of the client.
        transport: Sends the requests instead of the page's fetch.
        **options: See ``Options``.
    """
    key = _storage_key(options)
    store = _open_store(options, key)
    lock = open_lock(_lock_name(key))
    client = build(
        transport or FetchTransport(),
        store=_of_cookie(store) if _uses_cookie(options) else store,
        lock=SharedLock(lock, store) if isinstance(store, IndexedDBStore) else lock,
        prover=_keys_for(store),
        navigator=_navigator(),
        place=_sign_in_place(key, options),
        is_watched=is_visible,
        page_url=page_url(),
        **options,
    )
    client.on_close(wake_on_events(client))
    if isinstance(store, IndexedDBStore):
        store.follow(client.wake)
        client.on_close(store.close)
    return client


def connect_sync(
    build: Callable[..., Built], *, transport: SyncTransport | None = None, **options: Any
) -> Built:
    """Return a sync client with a session of its own; see ``Client.in_browser``."""
    key = _storage_key(options)
    store = _preloaded(_open_store(options, key))
    return share_session(
        build,
        FetchTransport(),
        key,
        _keys_for(store),
        transport=transport,
        store=_of_cookie(store) if _uses_cookie(options) else store,
        navigator=_navigator(),
        page_url=page_url(),
        **options,
    )


def share_session(
    build: Callable[..., Built],
    fetch: Transport,
    storage_key: str,
    keys: Prover,
    *,
    transport: SyncTransport | None = None,
    **options: Any,
) -> Built:
    """Return a sync client that shares the session under a storage key, and its refresh lock.

    Args:
        build: The class of the client.
        fetch: Sends the requests where the engine can wait for a promise.
        storage_key: The name the session is stored under.
        keys: Keeps the key that the session is bound to.
        transport: Sends the requests instead of the page's own network.
        **options: Further arguments of the class.
    """
    from unexpired.browser.jspi import JSPIKeys, JSPILock, JSPITransport  # noqa: PLC0415 - few pages block
    from unexpired.browser.xhr import XhrTransport  # noqa: PLC0415

    return build(
        transport or JSPITransport(fetch, otherwise=XhrTransport()),
        lock=JSPILock(open_lock(_lock_name(storage_key))),
        prover=JSPIKeys(keys),
        **{"max_backoff": 0, **options},
    )


def _preloaded(store: TokenStore) -> TokenStore:
    """Return the store when it is read; in memory, where sync code cannot wait for that."""
    if isinstance(store, TabStore) and can_run_sync():
        run_sync(store.preload())
    if not isinstance(store, IndexedDBStore):
        return store
    if not can_run_sync():
        _log.warning("sync code cannot wait for IndexedDB here: the session is kept in memory")
        return MemoryStore()
    run_sync(store.preload())
    return store


def _keys_for(store: TokenStore) -> Prover:
    """Return keys that last as long as the sessions in a store."""
    return MemoryKeys() if isinstance(store, MemoryStore) else PageKeys()


def _navigator() -> Navigator:
    """Return the page's address; a worker or a program shows nothing that could be redirected."""
    return BrowserNavigator() if has_document() else NoNavigator()


def _sign_in_place(key: str, options: Mapping[str, Any]) -> SignInPlace | None:
    if options.get("provider") is None:
        return None
    from unexpired.browser.sign_in_place import sign_in_place  # noqa: PLC0415 - few pages need it

    return sign_in_place(key)


def _lock_name(storage_key: str) -> str:
    return f"{storage_key}:refresh"


def _storage_key(options: Mapping[str, Any]) -> str:
    base_url = options.get("base_url", "")
    return options.get("storage_key") or storage_key_of(base_url=base_url, page_url=page_url())


def _uses_cookie(options: Mapping[str, Any]) -> bool:
    return bool(options.get("storage") == "cookie")


def _of_cookie(store: TokenStore) -> TokenStore:
    if isinstance(store, PreloadedStore):
        return PreloadedCookieStore(store)
    return CookieStore(store)


def _open_store(options: Mapping[str, Any], key: str) -> TokenStore:
    """Return the store of the session; with the cookie that of its marker."""
    if _uses_cookie(options):
        open_store("local", key).clear()  # No token is left from before.
        return open_store("local", marker_key(key))
    kind = options.get("storage", "local")
    store = open_store(kind, key)
    if key != DEFAULT_STORAGE_KEY and not options.get("storage_key"):
        api = api_of(base_url=options["base_url"], page_url=page_url())
        old = open_store(kind, DEFAULT_STORAGE_KEY)
        move_old_record(old, store, api=api, page_url=page_url())
    return store
