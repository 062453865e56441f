"""Calls of a worker, made by the page's client: the session stays with the page.

In the page, where there is a ``<script type="py" worker>``:

    serve(client, document.querySelector("script[worker]").xworker.sync)

In the worker:

    client = connect()
    response = await client.get("/api/notes")

This needs no headers. Where the page is isolated by them (COOP and COEP), PyScript opens all of it
to its workers, storage and tokens included: leave them out, unless sync code must wait in an engine
that cannot switch stacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from functools import cache
from inspect import isawaitable
from itertools import count
from typing import TYPE_CHECKING, Any, Unpack

import js
from pyodide.ffi import JsException, can_run_sync, run_sync, to_js

from unexpired.base_client import RequestMethods
from unexpired.errors import Unreachable
from unexpired.messages import Response
from unexpired.worker_messages import (
    WorkerRequest,
    WorkerResult,
    perform,
    response_from,
    worker_request,
)

if TYPE_CHECKING:
    from unexpired.async_client import AsyncClient
    from unexpired.session_manager import RequestOptions


# -- In the page -------------------------------------------------------------------------------


def serve(client: AsyncClient, js_sync: Any) -> None:
    """Make the calls of one worker, for as long as the page lives.

    Args:
        client: the page's own, whose session it is.
        js_sync: the ``sync`` of the worker.
    """
    desk = _Desk(client, js_sync)
    js_sync.unexpired_hello = desk.hello
    js_sync.unexpired_ask = desk.ask
    js_sync.unexpired_drop = desk.drop
    js_sync.unexpired_call = desk.call
    desk.open()


class _Desk:
    """Where a worker's calls arrive."""

    def __init__(self, client: AsyncClient, js_sync: Any) -> None:
        self._client = client
        self._js_sync = js_sync
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def open(self) -> None:
        """Tell the worker, should it have asked already."""
        self._start(0, self._announce())

    def hello(self) -> None:
        """WorkerResult a worker that asks whether anybody is here."""

    def ask(self, number: int, js_call: Any) -> None:
        """Make a call, and send its answer when there is one."""
        self._start(number, self._answer(number, js_call))

    def drop(self, number: int) -> None:
        """Give up a call that nobody waits for any more."""
        if task := self._tasks.get(number):
            task.cancel()

    async def call(self, js_call: Any) -> Any:
        """Make a call for somebody who is held up until it is answered."""
        return _crossing(await perform(js_call.to_py(), self._client))

    async def _answer(self, number: int, js_call: Any) -> None:
        self._js_sync.unexpired_answer(number, await self.call(js_call))

    async def _announce(self) -> None:
        with suppress(JsException):  # It is not there yet, and will say hello.
            await self._js_sync.unexpired_served()

    def _start(self, number: int, work: Any) -> None:
        task = self._tasks[number] = asyncio.ensure_future(work)
        task.add_done_callback(lambda _: self._tasks.pop(number))


# -- In the worker -----------------------------------------------------------------------------


def connect() -> WorkerClient:
    """Return a client whose calls the page makes; they wait until it serves this worker."""
    return WorkerClient(_line())


def connect_sync() -> SyncWorkerClient:
    """Return the sync twin, for code that waits.

    Where the engine can switch stacks, the worker lives on meanwhile; elsewhere it blocks, which
    needs a page that is isolated.
    """
    return SyncWorkerClient(_line())


class WorkerClient(RequestMethods[Awaitable[Response]]):
    """``AsyncClient`` in a worker: the verbs, within the page's session."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    async def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Make one call; see ``AsyncClient.request``."""
        return response_from(await self._line.ask(worker_request(method, url, options)))


class SyncWorkerClient(RequestMethods[Response]):
    """``Client`` in a worker: the verbs, within the page's session."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Make one call; see ``Client.request``.

        Raises:
            RuntimeError: if nothing here can wait.
        """
        call = worker_request(method, url, options)
        return response_from(self._answer(call))

    def _answer(self, call: WorkerRequest) -> WorkerResult:
        if can_run_sync():
            answer: WorkerResult = run_sync(self._line.ask(call))
            return answer
        if not js.crossOriginIsolated:
            raise RuntimeError("sync calls need a page with COOP and COEP, or an engine with JSPI")
        return self._line.block(call)


class _Line:
    """The worker's end: what was asked, and waits for its answer."""

    def __init__(self, js_sync: Any) -> None:
        self._js_sync = js_sync
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[WorkerResult]] = {}
        self._is_served = asyncio.Event()
        js_sync.unexpired_served = self._is_served.set
        js_sync.unexpired_answer = self._hear

    async def ask(self, call: WorkerRequest) -> WorkerResult:
        """Ask, and wait for the answer while everything else goes on."""
        await self._reach()
        number = next(self._numbers)
        answer: asyncio.Future[WorkerResult] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            await _settled(self._js_sync.unexpired_ask(number, _crossing(call)))
            return await answer
        except asyncio.CancelledError:
            self._js_sync.unexpired_drop(number)
            raise
        finally:
            del self._waiting[number]

    def block(self, call: WorkerRequest) -> WorkerResult:
        """Ask, and do nothing else until there is an answer."""
        try:
            answer: WorkerResult = self._js_sync.unexpired_call(_crossing(call)).to_py()
        except JsException:
            raise Unreachable from None  # The page does not serve us yet.
        return answer

    async def _reach(self) -> None:
        """Wait until the page serves us: either of the two may be the first to be there."""
        if self._is_served.is_set():
            return
        try:
            await _settled(self._js_sync.unexpired_hello())
        except JsException:
            await self._is_served.wait()
        self._is_served.set()

    def _hear(self, number: int, js_answer: Any) -> None:
        answer = self._waiting.get(number)
        if answer is not None and not answer.done():
            answer.set_result(js_answer.to_py())


@cache
def _line() -> _Line:
    from pyscript import sync  # noqa: PLC0415 - a page has none

    return _Line(sync)


async def _settled(value: Any) -> None:
    """Wait for what was called on the other side; in an isolated page it is done already."""
    if isawaitable(value):
        await value


def _crossing(value: WorkerRequest | WorkerResult) -> Any:
    return to_js(value, dict_converter=js.Object.fromEntries)
