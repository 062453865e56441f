"""Sync code that waits while the page lives on, where the engine can switch stacks.

JavaScript Promise Integration (JSPI) lets Python wait for a promise in the middle of a function, if
a task or a coroutine has called it. Everywhere else the sync forms do: they block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyodide.ffi import can_run_sync, run_sync

from unexpired.errors import Unreachable
from unexpired.messages import Request, Response
from unexpired.timers import timeout_after

if TYPE_CHECKING:
    from unexpired.ports import RefreshLock, SyncRefreshLock, SyncTransport, Transport


class JSPITransport:
    """Sends through a transport that awaits, or else through one that blocks.

    Args:
        transport: awaits.
        otherwise: blocks.
    """

    def __init__(self, transport: Transport, otherwise: SyncTransport) -> None:
        self._transport = transport
        self._otherwise = otherwise

    def send(self, request: Request, timeout: float | None) -> Response:
        """Send the request; see ``SyncTransport``."""
        if not can_run_sync():
            return self._otherwise.send(request, timeout)
        response: Response = run_sync(self._bounded(request, timeout))
        return response

    async def _bounded(self, request: Request, seconds: float | None) -> Response:
        try:
            async with timeout_after(seconds):
                return await self._transport.send(request)
        except TimeoutError:
            raise Unreachable from None


class JSPILock:
    """A lock that awaits; where nothing can be awaited, nothing else runs in this page meanwhile.

    Another tab may, then; the server's grace absorbs its refresh.

    Args:
        lock: awaits.
    """

    def __init__(self, lock: RefreshLock) -> None:
        self._lock = lock

    @contextmanager
    def hold(self, timeout: float) -> Iterator[None]:
        """Hold the lock; see ``SyncRefreshLock``."""
        if not can_run_sync():
            yield
            return
        held = self._lock.hold(timeout)
        run_sync(held.__aenter__())
        try:
            yield
        finally:
            run_sync(held.__aexit__(None, None, None))


if TYPE_CHECKING:
    _transport: type[SyncTransport] = JSPITransport
    _lock: type[SyncRefreshLock] = JSPILock
