"""Web storage as a token store.

Web storage can be blocked, full or cleared at any time. When a write fails, the session is kept in
memory until the page closes.
"""

from __future__ import annotations

import logging
from typing import Any

from pyodide.ffi import JsException

from unexpired.browser.host import js_global
from unexpired.browser.indexed_db import IndexedDBStore
from unexpired.browser.tab_copies import of_this_tab
from unexpired.ports import FallbackStore, MemoryStore, TokenStore

NEXT_BEST: dict[str, tuple[str, ...]] = {
    "local": ("localStorage", "sessionStorage"),
    "session": ("sessionStorage",),
}

_log = logging.getLogger("unexpired")


class WebStore(FallbackStore):
    """One key of ``localStorage`` or ``sessionStorage``."""

    def __init__(self, js_storage: Any, key: str) -> None:
        super().__init__(_StorageKey(js_storage, key), JsException, "the browser's storage")


class _StorageKey:
    def __init__(self, js_storage: Any, key: str) -> None:
        self._js_storage = js_storage
        self._key = key

    def load(self) -> str | None:
        text = self._js_storage.getItem(self._key)
        return str(text) if isinstance(text, str) else None

    def save(self, text: str) -> None:
        self._js_storage.setItem(self._key, text)

    def clear(self) -> None:
        self._js_storage.removeItem(self._key)


def open_store(kind: str, key: str) -> TokenStore:
    """Return the requested store, or the next best that works: local, session, memory.

    A worker has no web storage, but IndexedDB. If web storage is there and denied, nothing else is
    tried: the person wants nothing to be stored.

    Args:
        kind: ``local``, ``session`` or ``memory``.
        key: The name to store the session under.
    """
    names = NEXT_BEST.get(kind, ())
    for name in names:
        js_storage = _working(name, key)
        if js_storage is not None:
            _warn_unless(name == names[0], names[0], "kept for this tab only")
            store = WebStore(js_storage, key)
            return of_this_tab(store, js_storage, key) if name == "sessionStorage" else store
    if kind == "local" and not any(map(_exists, names)) and _exists("indexedDB"):
        return IndexedDBStore(key)
    _warn_unless(not names, "the browser's storage", "kept in memory")
    return MemoryStore()


def _warn_unless(expected: bool, place: str, instead: str) -> None:  # noqa: FBT001 - a condition
    if not expected:
        _log.warning("%s cannot be used: the session is %s", place, instead)


def _exists(name: str) -> bool:
    """Return whether the host has such an object, even if its use is denied."""
    try:
        return js_global(name) is not None
    except JsException:
        return True


def _working(name: str, key: str) -> Any:
    """Return the storage if it can be written and read; some browsers ignore writes."""
    probe = f"{key}:probe"
    try:
        js_storage = js_global(name)
        js_storage.setItem(probe, "1")
        works = js_storage.getItem(probe) == "1"
        js_storage.removeItem(probe)
    except (JsException, AttributeError):  # It is denied, full, or missing.
        return None
    return js_storage if works else None
