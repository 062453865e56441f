"""A blocking transport for a client that awaits."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from unexpired.messages import Request, Response
from unexpired.ports import SyncTransport, open_sync_stream
from unexpired.streams import AsyncResponseStream, ResponseStream, SyncBody

if TYPE_CHECKING:
    from unexpired.ports import StreamingTransport
    from unexpired.streams import AsyncBody

TIMEOUT = 60.0  # s. The caller gives up earlier; by then the thread must end by itself.
THREADS = 64  # Slow requests could occupy asyncio's few default threads, and block a refresh.


class ThreadedTransport:
    """Sends requests in threads.

    Args:
        transport: Sends a request, and blocks.
    """

    def __init__(self, transport: SyncTransport) -> None:
        self._transport = transport
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="unexpired")
        # Many long bodies must not keep a request from being sent.
        self._readers = ThreadPoolExecutor(THREADS, thread_name_prefix="unexpired-body")

    async def send(self, request: Request) -> Response:
        """Send the request; see ``Transport``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._transport.send, request, TIMEOUT)

    async def open(self, request: Request) -> AsyncResponseStream:
        """Send the request; see ``StreamingTransport``."""
        opening = self._threads.submit(open_sync_stream, self._transport, request, TIMEOUT)
        try:
            stream = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)
            raise
        body = _ThreadedBody(stream.body, self._readers)
        return AsyncResponseStream(stream.status_code, stream.headers, body, url=stream.url)


def _close(opening: Future[ResponseStream]) -> None:
    """Close a response that nobody waits for anymore."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class _ThreadedBody:
    """A body that is read in threads."""

    def __init__(self, body: SyncBody, threads: ThreadPoolExecutor) -> None:
        self._body = body
        self._threads = threads

    async def read(self) -> bytes:
        """Return the next piece; see ``AsyncBody``. Closing the body ends the thread's wait."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._body.read, None)

    def close(self) -> None:
        """Close the connection."""
        self._body.close()


if TYPE_CHECKING:
    _: type[StreamingTransport] = ThreadedTransport
    _body: type[AsyncBody] = _ThreadedBody
