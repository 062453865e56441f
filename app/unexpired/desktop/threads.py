"""A blocking transport for a client that awaits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from unexpired.content import join
from unexpired.messages import Progress, Request, Response
from unexpired.ports import SyncTransport, open_sync_stream
from unexpired.streams import AsyncResponseStream, ResponseStream, SyncBody

if TYPE_CHECKING:
    from unexpired.ports import StreamingTransport
    from unexpired.streams import AsyncBody

TIMEOUT = 60.0  # s. The caller gives up earlier; by then the thread must end by itself.

# Slow requests could occupy asyncio's few default threads, and block a refresh. A thread is started
# when there is no idle one. A stream of events holds one for as long as it lasts.
THREADS = 64
TOKEN_THREADS = 4
READERS = 1024


class ThreadedTransport:
    """Sends requests in threads.

    Args:
        transport: Sends a request, and blocks.
    """

    def __init__(self, transport: SyncTransport) -> None:
        self._transport = transport
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="unexpired")
        # Many long bodies must not keep a request from being sent, nor slow requests a refresh.
        self._token_threads = ThreadPoolExecutor(
            TOKEN_THREADS, thread_name_prefix="unexpired-tokens"
        )
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="unexpired-body")

    async def send(self, request: Request) -> Response:
        """Send the request; see ``Transport``."""
        loop, send = asyncio.get_running_loop(), self._transport.send
        request = await _without_async_body(request)
        threads = self._token_threads if request.sensitive else self._threads
        with _reporting_here(request) as sent:
            return await loop.run_in_executor(threads, send, sent, TIMEOUT)

    async def open(self, request: Request) -> AsyncResponseStream:
        """Send the request; see ``StreamingTransport``."""
        with _reporting_here(await _without_async_body(request)) as sent:
            opening = self._threads.submit(open_sync_stream, self._transport, sent, TIMEOUT)
            try:
                stream = await asyncio.wrap_future(opening)
            except asyncio.CancelledError:
                opening.add_done_callback(_close)
                raise
        body = _ThreadedBody(stream.body, self._readers)
        return AsyncResponseStream(stream.status_code, stream.headers, body, url=stream.url)


async def _without_async_body(request: Request) -> Request:
    """Return the request with a body that a thread can read."""
    if not isinstance(request.body, AsyncIterable):
        return request
    return replace(request, body=join([piece async for piece in request.body]))


class _Reports:
    """Reports the progress of an upload in the thread of the event loop, until it is over.

    Args:
        progress: The caller's function.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._loop = asyncio.get_running_loop()
        self._is_over = False

    def __call__(self, so_far: int, total: int | None) -> None:
        """Report, from another thread; raise what the caller's function raises."""
        reported: Future[None] = Future()
        self._loop.call_soon_threadsafe(self._report, reported, so_far, total)
        reported.result(TIMEOUT)

    def end(self) -> None:
        """End the upload at its next report: nobody waits for it anymore."""
        self._is_over = True

    def _report(self, reported: Future[None], so_far: int, total: int | None) -> None:
        if self._is_over:
            reported.set_exception(ConnectionAbortedError())
            return
        try:
            self._progress(so_far, total)
        except BaseException as error:  # noqa: BLE001 - it is raised where the upload is awaited
            reported.set_exception(error)
        else:
            reported.set_result(None)


@contextmanager
def _reporting_here(request: Request) -> Iterator[Request]:
    """Yield the request, whose progress is reported here for as long as this block runs."""
    if request.upload_progress is None:
        yield request
        return
    reports = _Reports(request.upload_progress)
    try:
        yield replace(request, upload_progress=reports)
    finally:
        reports.end()


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
