"""Sync code that does not block the page, in engines with JavaScript Promise Integration (JSPI).

There Python can wait for a promise in the middle of a function, if a task or a coroutine called it.
In other engines, and outside of tasks, the sync forms are used, which block the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyodide.ffi import can_run_sync, run_sync

from unexpired.errors import Unreachable
from unexpired.messages import Request, Response
from unexpired.ports import open_stream, open_sync_stream
from unexpired.streams import STALLED, AsyncBody, AsyncResponseStream, ResponseStream
from unexpired.timers import timeout_after

if TYPE_CHECKING:
    from unexpired.ports import (
        ProofKey,
        Prover,
        RefreshLock,
        SyncProofKey,
        SyncProver,
        SyncRefreshLock,
        SyncStreamingTransport,
        SyncTransport,
        Transport,
    )
    from unexpired.streams import SyncBody


CANNOT_SIGN = (
    "This session is bound to a key, and the engine cannot wait for a signature in the middle of"
    " sync code. An AsyncClient beside the Client, after `await client.ready()`, refreshes it soon."
)


class JSPITransport:
    """Sends through an async transport where the engine can wait for it, else through a sync one.

    Args:
        transport: The async transport.
        otherwise: The sync transport, which blocks.
    """

    def __init__(self, transport: Transport, otherwise: SyncTransport) -> None:
        self._transport = transport
        self._otherwise = otherwise

    def send(self, request: Request, timeout: float | None) -> Response:
        """Send the request; see ``SyncTransport``."""
        if not can_run_sync():
            return self._otherwise.send(request, timeout)
        response: Response = run_sync(self._send(request, timeout))
        return response

    def open(self, request: Request, timeout: float | None) -> ResponseStream:
        """Send the request; see ``SyncStreamingTransport``.

        Where the engine cannot wait, the response is read whole.
        """
        if not can_run_sync():
            return open_sync_stream(self._otherwise, request, timeout)
        stream: AsyncResponseStream = run_sync(self._open(request, timeout))
        body = _JSPIBody(stream.body)
        return ResponseStream(stream.status_code, stream.headers, body, url=stream.url)

    async def _open(self, request: Request, seconds: float | None) -> AsyncResponseStream:
        try:
            async with timeout_after(seconds):
                return await open_stream(self._transport, request)
        except TimeoutError:
            raise Unreachable from None

    async def _send(self, request: Request, seconds: float | None) -> Response:
        try:
            async with timeout_after(seconds):
                return await self._transport.send(request)
        except TimeoutError:
            raise Unreachable from None


class _JSPIBody:
    """An async body for sync code."""

    def __init__(self, body: AsyncBody) -> None:
        self._body = body

    def read(self, timeout: float | None) -> bytes:
        """Return the next piece; see ``SyncBody``."""
        piece: bytes = run_sync(self._read(timeout))
        return piece

    def close(self) -> None:
        """Abandon what has not been read."""
        self._body.close()

    async def _read(self, seconds: float | None) -> bytes:
        try:
            async with timeout_after(seconds):
                return await self._body.read()
        except TimeoutError:
            raise Unreachable(STALLED) from None


class JSPILock:
    """An async lock for sync code; it is skipped where the engine cannot wait for it.

    Then nothing else in this page runs meanwhile. Another tab may, which sends the same attempt.

    Args:
        lock: The async lock.
    """

    def __init__(self, lock: RefreshLock) -> None:
        self._lock = lock

    @property
    def is_shared(self) -> bool:
        """Whether holding it keeps other tabs from refreshing."""
        return can_run_sync() and getattr(self._lock, "is_shared", True)

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


class JSPIKeys:
    """Async keys for sync code; where the engine cannot wait for them, sessions begin without.

    Args:
        keys: The async keys.
    """

    def __init__(self, keys: Prover) -> None:
        self._keys = keys

    def create(self) -> str | None:
        """Make a key; see ``SyncProver``."""
        return run_sync(self._keys.create()) if can_run_sync() else None

    def open(self, key: str) -> _JSPIKey:
        """Return a key; see ``SyncProver``."""
        _check_can_sign()
        return _JSPIKey(run_sync(self._keys.open(key)))

    def forget(self, key: str) -> None:
        """Remove a key; see ``SyncProver``."""
        self._keys.forget(key)


class _JSPIKey:
    """An async key for sync code."""

    def __init__(self, key: ProofKey) -> None:
        self._key = key

    @property
    def public(self) -> Mapping[str, str]:
        """The public key; see ``SyncProofKey``."""
        return self._key.public

    def sign(self, message: bytes) -> bytes:
        """Return the signature; see ``SyncProofKey``."""
        _check_can_sign()
        signature: bytes = run_sync(self._key.sign(message))
        return signature


def _check_can_sign() -> None:
    if not can_run_sync():
        error = Unreachable()
        error.add_note(CANNOT_SIGN)
        raise error


if TYPE_CHECKING:
    _key: type[SyncProofKey] = _JSPIKey
    _keys: type[SyncProver] = JSPIKeys
    _transport: type[SyncStreamingTransport] = JSPITransport
    _body: type[SyncBody] = _JSPIBody
    _lock: type[SyncRefreshLock] = JSPILock
