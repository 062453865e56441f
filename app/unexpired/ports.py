"""What the library needs from the world: tiny protocols, and their forms in memory.

A port's asynchronous form is for ``AsyncClient``; ``Client`` takes the ``Sync…`` twin.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Protocol

from unexpired.errors import Unreachable
from unexpired.messages import Request, Response
from unexpired.timers import timeout_after


class Transport(Protocol):
    """Sends a request over the network."""

    async def send(self, request: Request) -> Response:
        """Return the response, whatever its status.

        A cancelled ``send`` abandons the request.

        Raises:
            Unreachable: if no response came.
        """
        ...


class SyncTransport(Protocol):
    """Sends a request over the network, and waits."""

    def send(self, request: Request, timeout: float | None) -> Response:
        """Return the response, whatever its status.

        Args:
            request: what to send.
            timeout: seconds after which to give up; None for no bound.

        Raises:
            Unreachable: if no response came in time.
        """
        ...


class TokenStore(Protocol):
    """Keeps one text; what it holds is the session and must be kept from others."""

    def load(self) -> str | None:
        """Return what is stored, or None."""
        ...

    def save(self, text: str) -> None:
        """Store the text in place of what was there, whole or not at all."""
        ...

    def clear(self) -> None:
        """Remove what is stored."""
        ...


class RefreshLock(Protocol):
    """Lets one holder at a time refresh, among all that share the store."""

    def hold(self, timeout: float) -> AbstractAsyncContextManager[None]:
        """Hold the lock for the length of a ``with`` block.

        Args:
            timeout: seconds to wait for it at the most.

        Raises:
            Unreachable: if it could not be had in time.
        """
        ...


class SyncRefreshLock(Protocol):
    """``RefreshLock`` for the client that blocks."""

    def hold(self, timeout: float) -> AbstractContextManager[None]:
        """Hold the lock for the length of a ``with`` block.

        Args:
            timeout: seconds to wait for it at the most.

        Raises:
            Unreachable: if it could not be had in time.
        """
        ...


class Navigator(Protocol):
    """Knows where the person is, and takes them elsewhere."""

    def here(self) -> str:
        """Return the path, query and hash of the page as it is shown."""
        ...

    def go(self, url: str) -> None:
        """Show another address."""
        ...


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Return Unix seconds by the device's clock, which may be wrong and may jump."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait, blocking; only the sync client calls this."""
        ...


class SystemClock:
    """The machine's clock."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)


class MemoryStore:
    """A store that forgets when the process ends, or the page is closed."""

    def __init__(self) -> None:
        self._text: str | None = None

    def load(self) -> str | None:
        """Return what is stored, or None."""
        return self._text

    def save(self, text: str) -> None:
        """Store the text."""
        self._text = text

    def clear(self) -> None:
        """Forget the text."""
        self._text = None


class LocalLock:
    """A lock among the clients of one process or page."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def hold(self, timeout: float) -> AsyncIterator[None]:  # noqa: ASYNC109 - the port's contract
        """Hold the lock; see ``RefreshLock``."""
        try:
            async with timeout_after(timeout):
                await self._lock.acquire()
        except TimeoutError:
            raise Unreachable from None
        try:
            yield
        finally:
            self._lock.release()


class ThreadLock:
    """A lock among the threads of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, timeout: float) -> Iterator[None]:
        """Hold the lock; see ``SyncRefreshLock``."""
        if not self._lock.acquire(timeout=timeout):
            raise Unreachable
        try:
            yield
        finally:
            self._lock.release()


class NoNavigator:
    """For programs without pages: nowhere to go."""

    def here(self) -> str:
        """Return no address."""
        return ""

    def go(self, url: str) -> None:
        """Stay."""
