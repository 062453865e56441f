"""Requests of a worker, made by the page's client: the session stays in the page.

In the page, where there is a ``<script type="py" worker>``:

    serve(client, document.querySelector("script[worker]").xworker.sync)

In the worker:

    client = connect()
    response = await client.get("/api/notes")

This needs no headers. If COOP and COEP isolate the page, PyScript gives its workers access to all
of it, including storage and tokens: leave them out, unless sync code must wait in an engine without
JSPI.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from functools import cache
from inspect import isawaitable
from itertools import count
from typing import Any, Unpack

import js
from pyodide.ffi import JsException, can_run_sync, run_sync, to_js

from unexpired.base_client import RequestMethods
from unexpired.content import RequestOptions
from unexpired.errors import Unreachable
from unexpired.messages import Response
from unexpired.worker_messages import (
    WorkerRequest,
    WorkerResult,
    perform,
    response_from,
    worker_request,
)

DEPTH = 3
"""How deeply a message is converted: it has two levels, and a deeper one could use up the stack."""

# -- In the page -------------------------------------------------------------------------------


def serve(client: RequestMethods[Awaitable[Response]], js_sync: Any) -> None:
    """Make the requests of one worker, as long as the page lives.

    Args:
        client: The page's own client, with the session.
        js_sync: The ``sync`` of the worker.
    """
    server = _WorkerServer(client, js_sync)
    js_sync.unexpired_ping = server.ping
    js_sync.unexpired_request = server.request
    js_sync.unexpired_cancel = server.cancel
    js_sync.unexpired_request_sync = server.request_sync
    server.announce()


class _WorkerServer:
    """The page's end of the connection to one worker."""

    def __init__(self, client: RequestMethods[Awaitable[Response]], js_sync: Any) -> None:
        self._client = client
        self._js_sync = js_sync
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def announce(self) -> None:
        """Notify a worker that started before the page served it."""
        self._start(0, self._announce())

    def ping(self) -> None:
        """Return nothing: that the call succeeds tells the worker that it is served."""

    def request(self, number: int, js_request: Any) -> None:
        """Make a request, and send its result when it is there."""
        self._start(number, self._send_result(number, js_request))

    def cancel(self, number: int) -> None:
        """Cancel a request whose caller has stopped waiting."""
        if task := self._tasks.get(number):
            task.cancel()

    async def request_sync(self, js_request: Any) -> Any:
        """Make a request for a worker that blocks until it has the result."""
        return _to_js(await perform(js_request.to_py(depth=DEPTH), self._client))

    async def _send_result(self, number: int, js_request: Any) -> None:
        self._js_sync.unexpired_result(number, await self.request_sync(js_request))

    async def _announce(self) -> None:
        with suppress(JsException):  # The worker has not started yet, and will ping.
            await self._js_sync.unexpired_served()

    def _start(self, number: int, work: Any) -> None:
        task = self._tasks[number] = asyncio.ensure_future(work)
        task.add_done_callback(lambda _: self._tasks.pop(number))


# -- In the worker -----------------------------------------------------------------------------


def connect() -> WorkerClient:
    """Return a client whose requests the page makes; they wait until it serves this worker."""
    return WorkerClient(_connection())


def connect_sync() -> SyncWorkerClient:
    """Return the sync twin, for code that waits.

    In engines with JSPI the worker stays responsive; in others it blocks, which needs an isolated
    page.
    """
    return SyncWorkerClient(_connection())


class WorkerClient(RequestMethods[Awaitable[Response]]):
    """``AsyncClient`` in a worker: the request methods, within the page's session."""

    def __init__(self, connection: _PageConnection) -> None:
        self._connection = connection

    async def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Make one request; see ``AsyncClient.request``."""
        message = worker_request(method, url, options)
        return response_from(await self._connection.request(message), message)


class SyncWorkerClient(RequestMethods[Response]):
    """``Client`` in a worker: the request methods, within the page's session."""

    def __init__(self, connection: _PageConnection) -> None:
        self._connection = connection

    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Make one request; see ``Client.request``.

        Raises:
            RuntimeError: If the engine cannot wait here.
        """
        message = worker_request(method, url, options)
        return response_from(self._result_of(message), message)

    def _result_of(self, message: WorkerRequest) -> WorkerResult:
        if can_run_sync():
            result: WorkerResult = run_sync(self._connection.request(message))
            return result
        if not js.crossOriginIsolated:
            raise RuntimeError("sync calls need a page with COOP and COEP, or an engine with JSPI")
        return self._connection.request_sync(message)


class _PageConnection:
    """The worker's end of the connection to the page."""

    def __init__(self, js_sync: Any) -> None:
        self._js_sync = js_sync
        self._numbers = count(1)
        self._results: dict[int, asyncio.Future[WorkerResult]] = {}
        self._is_served = asyncio.Event()
        js_sync.unexpired_served = self._is_served.set
        js_sync.unexpired_result = self._set_result

    async def request(self, message: WorkerRequest) -> WorkerResult:
        """Send a request, and wait for its result."""
        await self._wait_until_served()
        number = next(self._numbers)
        result: asyncio.Future[WorkerResult] = asyncio.get_running_loop().create_future()
        self._results[number] = result
        try:
            await _if_awaitable(self._js_sync.unexpired_request(number, _to_js(message)))
            return await result
        except asyncio.CancelledError:
            self._js_sync.unexpired_cancel(number)
            raise
        finally:
            del self._results[number]

    def request_sync(self, message: WorkerRequest) -> WorkerResult:
        """Send a request, and block until its result is there."""
        try:
            result: WorkerResult = self._js_sync.unexpired_request_sync(_to_js(message)).to_py(
                depth=DEPTH
            )
        except JsException:
            raise Unreachable from None  # The page does not serve this worker yet.
        return result

    async def _wait_until_served(self) -> None:
        """Wait until the page serves this worker; either of them may start first."""
        if self._is_served.is_set():
            return
        try:
            await _if_awaitable(self._js_sync.unexpired_ping())
        except JsException:
            await self._is_served.wait()
        self._is_served.set()

    def _set_result(self, number: int, js_result: Any) -> None:
        result = self._results.get(number)
        if result is not None and not result.done():
            result.set_result(js_result.to_py(depth=DEPTH))


@cache
def _connection() -> _PageConnection:
    from pyscript import sync  # noqa: PLC0415 - only a worker has it

    return _PageConnection(sync)


async def _if_awaitable(value: Any) -> None:
    """Wait for a call to the other side; in an isolated page it has returned already."""
    if isawaitable(value):
        await value


def _to_js(value: WorkerRequest | WorkerResult) -> Any:
    return to_js(value, dict_converter=js.Object.fromEntries)
