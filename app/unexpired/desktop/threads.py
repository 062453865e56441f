"""A blocking transport for a client that awaits."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from unexpired.messages import Progress, Request, Response
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
        loop, send = asyncio.get_running_loop(), self._transport.send
        return await loop.run_in_executor(self._threads, send, _reporting_here(request), TIMEOUT)

    async def open(self, request: Request) -> AsyncResponseStream:
        """Send the request; see ``StreamingTransport``."""
        sent = _reporting_here(request)
        opening = self._threads.submit(open_sync_stream, self._transport, sent, TIMEOUT)
        try:
            stream = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)
            raise
        body = _ThreadedBody(stream.body, self._readers)
        return AsyncResponseStream(stream.status_code, stream.headers, body, url=stream.url)


def _reporting_here(request: Request) -> Request:
    """Return the request, whose progress is reported in the thread of the event loop."""
    progress = request.upload_progress
    if progress is None:
        return request
    loop = asyncio.get_running_loop()

    def report(so_far: int, total: int | None) -> None:
        reported: Future[None] = Future()
        loop.call_soon_threadsafe(_report, reported, progress, so_far, total)
        reported.result(TIMEOUT)

    return replace(request, upload_progress=report)


def _report(reported: Future[None], progress: Progress, so_far: int, total: int | None) -> None:
    try:
        progress(so_far, total)
    except BaseException as error:  # noqa: BLE001 - it is raised where the upload is awaited
        reported.set_exception(error)
    else:
        reported.set_result(None)


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
