"""Web storage as a token store.

Web storage can be blocked, full or cleared at any time. When a write fails, the session is kept in
memory until the page closes.
"""

from __future__ import annotations

from typing import Any

import js
from pyodide.ffi import JsException

from unexpired.ports import FallbackStore, MemoryStore, TokenStore

NEXT_BEST: dict[str, tuple[str, ...]] = {
    "local": ("localStorage", "sessionStorage"),
    "session": ("sessionStorage",),
}


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

    Args:
        kind: ``local``, ``session`` or ``memory``.
        key: The name to store the session under.
    """
    for name in NEXT_BEST.get(kind, ()):
        js_storage = _working(name, key)
        if js_storage is not None:
            return WebStore(js_storage, key)
    return MemoryStore()


def _working(name: str, key: str) -> Any:
    """Return the storage if it can be written and read; some browsers ignore writes."""
    probe = f"{key}:probe"
    try:
        js_storage = getattr(js.window, name)
        js_storage.setItem(probe, "1")
        works = js_storage.getItem(probe) == "1"
        js_storage.removeItem(probe)
    except (JsException, AttributeError):
        return None
    return js_storage if works else None
