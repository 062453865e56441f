"""IndexedDB for Python: opening a database, and its events as futures."""

from __future__ import annotations

import asyncio
from typing import Any

import js
from pyodide.ffi import JsException, create_proxy


class IndexedDBError(Exception):
    """A request of the database failed; the text is the error's name, or "denied"."""


async def open_database(name: str, objects: str) -> Any:
    """Return an open database that has one object store.

    Args:
        name: The database, which is made where there is none.
        objects: The object store.

    Raises:
        IndexedDBError: If it cannot be opened.
    """
    try:
        js_request = js.indexedDB.open(name)
    except JsException:  # Its name is lost: Pyodide takes no DOMException for an error.
        raise IndexedDBError("denied") from None

    def on_upgrade(_event: Any) -> None:
        js_request.result.createObjectStore(objects)

    upgraded = create_proxy(on_upgrade)
    js_request.onupgradeneeded = upgraded
    try:
        await first_event(js_request, "onsuccess", "onerror")
    finally:
        js_request.onupgradeneeded = None
        upgraded.destroy()
    return js_request.result


def first_event(js_target: Any, succeeded: str, failed: str) -> asyncio.Future[None]:
    """Return a future of the first of two events; the second raises IndexedDBError."""
    outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_success(_event: Any) -> None:
        if not outcome.done():
            outcome.set_result(None)

    def on_failure(_event: Any) -> None:
        if not outcome.done():
            outcome.set_exception(IndexedDBError(getattr(js_target.error, "name", "aborted")))

    listeners = {succeeded: create_proxy(on_success), failed: create_proxy(on_failure)}

    def forget(_outcome: asyncio.Future[None]) -> None:
        for name, js_listener in listeners.items():
            setattr(js_target, name, None)
            js_listener.destroy()

    for name, js_listener in listeners.items():
        setattr(js_target, name, js_listener)
    outcome.add_done_callback(forget)
    return outcome
