"""Connections that keep the server waiting, the bound on their number, and the drain."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn import Config

from unexpired_server.ops import bounded_http
from unexpired_server.ops import server as server_module
from unexpired_server.ops.bounded_http import BoundedHttpToolsProtocol
from unexpired_server.ops.draining import Draining
from unexpired_server.ops.serve import listen
from unexpired_server.ops.server import Server

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
MEGABYTE = b"x" * 1_000_000


@dataclass
class Running:
    """A server in this event loop."""

    server: Server
    port: int
    release: asyncio.Event
    draining: Draining

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, request: bytes = GET) -> bytes:
        """Return the response's head, on a connection of its own."""
        reader, writer = await self.connect()
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        finally:
            writer.close()


Run = Callable[..., Any]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a server whose seconds are short."""
    monkeypatch.setattr(server_module, "TICKS", 1)

    @asynccontextmanager
    async def running(max_connections: int = 1000, drain: float = 0) -> AsyncIterator[Running]:
        release = asyncio.Event()

        async def home(_request: Request) -> Response:
            return PlainTextResponse("home")

        async def slow(_request: Request) -> Response:
            await release.wait()
            return PlainTextResponse("slow")

        async def large(_request: Request) -> Response:
            return Response(MEGABYTE * 20)

        app = Starlette(routes=[Route("/", home), Route("/slow", slow), Route("/large", large)])
        config = Config(
            app, http=BoundedHttpToolsProtocol, ws="none", log_config=None, access_log=False,
            timeout_keep_alive=60, timeout_graceful_shutdown=10,
        )  # fmt: skip
        draining, ready = Draining(), asyncio.Event()
        server = Server(
            config, max_connections=max_connections, drain_seconds=drain, draining=draining,
            ready=ready.set,
        )  # fmt: skip
        listener = listen("127.0.0.1", 0)
        listener.listen(100)
        # In the main thread uvicorn would take the test's signals.
        monkeypatch.setattr(server, "capture_signals", lambda: suppress(KeyError))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await ready.wait()
        yield Running(server, listener.getsockname()[1], release, draining)
        release.set()
        server.should_exit = server.force_exit = True
        await asyncio.wait_for(task, 20)

    return running


async def test_a_connection_without_a_complete_head_is_closed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_SECONDS", 0.2)
    async with run() as one:
        for before in (b"", GET, UPGRADE):
            for start in (b"", b"GET / HTTP/1.1\r\nHost:")[bool(before) :]:
                reader, writer = await one.connect()
                if before:
                    writer.write(before)
                    await reader.readuntil(b"home")
                writer.write(start)
                assert await asyncio.wait_for(reader.read(), 20) == b""
                writer.close()


async def test_bytes_that_trickle_do_not_keep_a_connection(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in a head nor in a body that nobody reads any more."""
    monkeypatch.setattr(bounded_http, "HEAD_SECONDS", 0.2)
    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    async with run() as one:
        for start in (b"GET / HTTP/1.1\r\nX: ", body):
            reader, writer = await one.connect()
            writer.write(start)
            closed = asyncio.create_task(reader.read())
            async with asyncio.timeout(20):
                while not closed.done():
                    with suppress(ConnectionError):
                        writer.write(b"x")
                        await writer.drain()
                    await asyncio.sleep(0.02)
            with suppress(ConnectionError):
                await closed
            writer.close()


async def test_an_idle_connection_is_kept_for_the_next_request(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_SECONDS", 0.1)
    async with run() as one:
        reader, writer = await one.connect()
        for _ in range(3):
            writer.write(GET)
            assert b"200" in await reader.readuntil(b"home")
            await asyncio.sleep(0.4)
        writer.close()


async def test_a_request_that_takes_long_is_not_closed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "HEAD_SECONDS", 0.1)
    async with run() as one:
        asked = asyncio.create_task(one.ask(GET.replace(b"/", b"/slow", 1)))
        await asyncio.sleep(0.5)
        one.release.set()
        assert b"200" in await asked


async def test_a_client_that_reads_nothing_is_disconnected(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "STALL_SECONDS", 0.3)
    async with run() as one:
        with socket.create_connection(("127.0.0.1", one.port)) as stalled:
            stalled.sendall(GET.replace(b"/", b"/large", 1))
            connections = one.server.server_state.connections
            await until(lambda: len(connections) == 1)
            await until(lambda: not connections)
        assert b"200" in await one.ask()


async def test_at_the_bound_the_oldest_idle_connections_make_room(run: Run) -> None:
    async with run(max_connections=20) as one:
        reader, writer = await one.connect()
        writer.write(GET)
        await reader.readuntil(b"home")
        silent = [await one.connect() for _ in range(60)]
        for _ in range(5):
            assert b"200" in await one.ask()
        assert len(one.server.server_state.connections) <= 20
        # One that has sent a request before goes last.
        writer.write(GET)
        assert b"200" in await reader.readuntil(b"home")
        for _, other in [*silent, (reader, writer)]:
            other.close()


async def test_while_all_connections_are_in_use_new_ones_wait(run: Run) -> None:
    async with run(max_connections=8) as one:
        slow = GET.replace(b"/", b"/slow", 1)
        asked = [asyncio.create_task(one.ask(slow)) for _ in range(8)]
        await until(lambda: len(one.server.server_state.tasks) == 8)
        waiting = asyncio.create_task(one.ask())
        await asyncio.sleep(0.2)
        assert not waiting.done()
        one.release.set()
        assert b"200" in await waiting
        assert all(b"200" in response for response in await asyncio.gather(*asked))


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


async def test_a_drain_serves_on_and_closes_connections_before_it_stops(run: Run) -> None:
    async with run(drain=0.5) as one:
        kept, keeping = await one.connect()
        keeping.write(GET)
        assert b"close" not in await kept.readuntil(b"home")
        one.server.handle_exit(signal.SIGTERM, None)
        assert one.draining()
        keeping.write(GET + GET)  # The second one is never begun, and can be sent again.
        assert (await kept.read()).count(b"connection: close") == 1
        assert b"connection: close" in await one.ask(UPGRADE)
        running = asyncio.create_task(one.ask(GET.replace(b"/", b"/slow", 1)))
        await until(lambda: not accepts(one.port))
        assert not running.done()
        one.release.set()
        assert b"200" in await running
        keeping.close()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_at_once(run: Run, first: signal.Signals) -> None:
    async with run(drain=600) as one:
        asked = asyncio.create_task(one.ask(GET.replace(b"/", b"/slow", 1)))
        await until(lambda: len(one.server.server_state.tasks) == 1)
        one.server.handle_exit(first, None)
        one.server.handle_exit(signal.SIGTERM, None)
        assert one.server.should_exit
        assert one.server.force_exit
        one.release.set()
        await asked


async def test_http_1_0_and_expect_are_answered(run: Run) -> None:
    async with run() as one:
        old = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        assert b"connection: close" in await one.ask(old)
        expecting = (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
        )
        assert b"405" in await one.ask(expecting)
