"""IndexedDB as a token store, for workers: they have no web storage.

It answers only later. So the session is read ahead, kept here, and written behind; the writes reach
the database in their order, and a BroadcastChannel makes other workers read each of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import js
from pyodide.ffi import JsException, create_proxy

from unexpired.browser.database import IndexedDBError, first_event, open_database
from unexpired.browser.host import js_global
from unexpired.timers import timeout_after

if TYPE_CHECKING:
    from unexpired.ports import PreloadedStore, RefreshLock

DATABASE = "unexpired"
OBJECTS = "sessions"

OPEN_TIMEOUT = 5.0  # s. Some browsers never answer while another version of the page is open.

_log = logging.getLogger("unexpired")


class IndexedDBStore:
    """One key of an object store; the session is kept in memory if the database fails.

    Args:
        key: The name to store the session under.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._text: str | None = None
        self._changes = 0  # of the text, by this client
        self._is_written = True
        self._js_database: Any = None
        self._js_channel: Any = None
        self._opening: asyncio.Task[None] | None = None
        self._writes: set[asyncio.Task[None]] = set()
        self._pulls: set[asyncio.Task[None]] = set()
        self._closers: list[Callable[[], None]] = []
        self._on_change: Callable[[], None] = lambda: None

    # -- The store -----------------------------------------------------------------------------

    def load(self) -> str | None:
        """Return the text that was last read or saved."""
        return self._text

    def save(self, text: str) -> None:
        """Replace the text."""
        self._change(text)

    def clear(self) -> None:
        """Remove the text."""
        self._change(None)

    async def preload(self) -> None:
        """Open the database and read the text, unless that is done."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        await asyncio.wait({self._opening})

    async def pull(self) -> None:
        """Read what other workers have stored."""
        await self.preload()
        await self.written()
        changes, js_database = self._changes, self._js_database
        if js_database is None:
            return
        try:
            text = await self._read(js_database)
        except (JsException, IndexedDBError):
            return  # It is read again when it has been opened again.
        if changes == self._changes:
            self._text = text

    async def written(self) -> None:
        """Wait until the database has what was saved."""
        if self._writes:
            await asyncio.wait(set(self._writes), timeout=OPEN_TIMEOUT)

    def follow(self, on_change: Callable[[], None]) -> None:
        """Call this function when another worker has stored something."""
        self._on_change = on_change

    def close(self) -> None:
        """Close the connections; what was saved is still written."""
        for closer in self._closers:
            closer()
        self._closers.clear()
        self._js_database = self._js_channel = self._opening = None

    # -- The database --------------------------------------------------------------------------

    async def _open(self) -> None:
        try:
            async with timeout_after(OPEN_TIMEOUT):
                js_database = await open_database(DATABASE, OBJECTS)
                text = await self._read(js_database)
        except (JsException, IndexedDBError, TimeoutError) as error:
            self._warn(error)
            return
        self._listen(js_database)
        self._js_database = js_database
        if self._is_written:
            self._text = text
        else:
            self._write()

    async def _read(self, js_database: Any) -> str | None:
        js_request = _objects(js_database, "readonly").get(self._key)
        await first_event(js_request, "onsuccess", "onerror")
        return js_request.result if isinstance(js_request.result, str) else None

    def _change(self, text: str | None) -> None:
        self._text = text
        self._changes += 1
        self._is_written = False
        self._write()

    def _write(self) -> None:
        """Ask the database at once: what was asked for is done even if the worker ends."""
        if self._js_database is None:
            return  # It is written when the database is open.
        try:
            js_objects = _objects(self._js_database, "readwrite")
            if self._text is None:
                js_objects.delete(self._key)
            else:
                js_objects.put(self._text, self._key)
        except JsException as error:
            self._warn(error)
        else:
            done = first_event(js_objects.transaction, "oncomplete", "onabort")
            _start(self._finish(done, self._changes), self._writes)

    async def _finish(self, done: asyncio.Future[None], changes: int) -> None:
        try:
            await done
        except IndexedDBError as error:
            self._warn(error)
            return
        self._is_written = changes == self._changes
        if self._js_channel is not None:
            self._js_channel.postMessage(self._key)

    def _warn(self, error: Exception) -> None:
        reason = error.name if isinstance(error, JsException) else str(error) or "no answer"
        _log.warning("IndexedDB cannot be used (%s): the session is kept in memory", reason)
        self._js_database = None

    # -- Other workers -------------------------------------------------------------------------

    def _listen(self, js_database: Any) -> None:
        def on_closed(_event: Any) -> None:
            """Open it again when it is needed: it was deleted, or a later version waits."""
            js_database.close()
            self._js_database = self._opening = None

        closed = create_proxy(on_closed)
        js_database.onclose = js_database.onversionchange = closed
        self._closers += (js_database.close, closed.destroy)
        if self._js_channel is None and js_global("BroadcastChannel") is not None:
            self._js_channel = js.BroadcastChannel.new(f"{DATABASE}:{self._key}")
            told = create_proxy(lambda _event: _start(self._pull_and_tell(), self._pulls))
            self._js_channel.onmessage = told
            self._closers += (self._js_channel.close, told.destroy)

    async def _pull_and_tell(self) -> None:
        await self.pull()
        self._on_change()


class SharedLock:
    """A refresh lock whose holder sees what the last one stored.

    Args:
        lock: The lock.
        store: Read when the lock is held, and written before it is released.
    """

    def __init__(self, lock: RefreshLock, store: IndexedDBStore) -> None:
        self._lock = lock
        self._store = store

    @property
    def is_shared(self) -> bool:
        """Whether holding it keeps other workers from refreshing."""
        return getattr(self._lock, "is_shared", True)

    @asynccontextmanager
    async def hold(self, timeout: float) -> AsyncIterator[None]:  # noqa: ASYNC109 - the port's contract
        """Hold the lock; see ``RefreshLock``."""
        async with self._lock.hold(timeout):
            await self._store.pull()
            try:
                yield
            finally:
                await self._store.written()


def _start(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    """Start a task, and keep it in a set until it is done."""
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _objects(js_database: Any, mode: str) -> Any:
    return js_database.transaction(OBJECTS, mode).objectStore(OBJECTS)


if TYPE_CHECKING:
    _store: type[PreloadedStore] = IndexedDBStore
    _lock: type[RefreshLock] = SharedLock
