"""Web storage as a token store.

Storage can be blocked, full or emptied at any moment; the page must work all the same, so what
cannot be stored is kept in memory for as long as the page lives.
"""

from __future__ import annotations

import logging
from typing import Any

import js
from pyodide.ffi import JsException

from unexpired.ports import MemoryStore, TokenStore

_log = logging.getLogger("unexpired")


class WebStore:
    """One key of ``localStorage`` or ``sessionStorage``."""

    def __init__(self, js_storage: Any, key: str) -> None:
        self._js_storage = js_storage
        self._key = key
        self._unsaved: str | None = None  # what would not fit

    def load(self) -> str | None:
        """Return what is stored, or None."""
        if self._unsaved is not None:
            return self._unsaved
        try:
            text = self._js_storage.getItem(self._key)
        except JsException:
            return None
        return str(text) if isinstance(text, str) else None

    def save(self, text: str) -> None:
        """Store the text, in memory if it does not fit."""
        try:
            self._js_storage.setItem(self._key, text)
        except JsException:
            _log.warning("the browser's storage is full or blocked: kept in memory")
            self.clear()  # An older session must not come back at the next visit.
            self._unsaved = text
        else:
            self._unsaved = None

    def clear(self) -> None:
        """Remove what is stored."""
        self._unsaved = None
        try:
            self._js_storage.removeItem(self._key)
        except JsException:
            _log.warning("the browser's storage is blocked")


def open_store(kind: str, key: str) -> TokenStore:
    """Return the store asked for, or the next best that works: local, session, memory.

    Args:
        kind: ``local``, ``session`` or ``memory``.
        key: the name to keep the session under.
    """
    kinds = {"local": ("localStorage", "sessionStorage"), "session": ("sessionStorage",)}
    for name in kinds.get(kind, ()):
        js_storage = _working(name, key)
        if js_storage is not None:
            return WebStore(js_storage, key)
    return MemoryStore()


def _working(name: str, key: str) -> Any:
    """Return the storage if it can be written and read; some browsers only pretend."""
    probe = f"{key}:probe"
    try:
        js_storage = getattr(js.window, name)
        js_storage.setItem(probe, "1")
        works = js_storage.getItem(probe) == "1"
        js_storage.removeItem(probe)
    except (JsException, AttributeError):
        return None
    return js_storage if works else None
