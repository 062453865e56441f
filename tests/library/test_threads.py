"""A blocking transport in threads: nothing that lasts keeps a refresh or another body waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from unexpired import Headers, Request, Response, ResponseStream
from unexpired.content import read_body
from unexpired.desktop.threads import THREADS, ThreadedTransport

SLOW = Request("GET", "https://api.example/slow")
TOKENS = Request("POST", "https://api.example/api/refresh", sensitive=True)
MANY = THREADS + 6


class Body:
    """A body whose only piece waits for the gate, if it has one."""

    def __init__(self, gate: threading.Event | None) -> None:
        self._gate = gate
        self._pieces = [b"x"]

    def read(self, timeout: float | None) -> bytes:
        """Return the next piece."""
        if self._gate is not None:
            self._gate.wait(timeout)
        return self._pieces.pop() if self._pieces else b""

    def close(self) -> None:
        """End the wait."""
        if self._gate is not None:
            self._gate.set()


class Slow:
    """Sends nothing but tokens before the gate is open."""

    def __init__(self, gate: threading.Event) -> None:
        self.gate = gate

    def send(self, request: Request, timeout: float | None) -> Response:
        """Send the request."""
        if not request.sensitive:
            self.gate.wait(timeout)
        return Response(200, content=read_body(request.body) or b"")

    def open(self, request: Request, timeout: float | None) -> ResponseStream:  # noqa: ARG002 - the contract of a transport
        """Send the request."""
        return ResponseStream(200, Headers(), Body(self.gate if request == SLOW else None))


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


async def test_a_refresh_does_not_wait_for_slow_requests(gate: threading.Event) -> None:
    transport = ThreadedTransport(Slow(gate))
    waiting = [asyncio.ensure_future(transport.send(SLOW)) for _ in range(MANY)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert (await transport.send(TOKENS)).is_success
    gate.set()
    await asyncio.gather(*waiting)


async def test_a_body_does_not_wait_for_streams_of_events(gate: threading.Event) -> None:
    transport = ThreadedTransport(Slow(gate))
    streams = [await transport.open(SLOW) for _ in range(MANY)]
    waiting = [asyncio.ensure_future(stream.aread()) for stream in streams]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        stream = await transport.open(Request("GET", "https://api.example/notes"))
        assert (await stream.aread()).content == b"x"
    gate.set()
    await asyncio.gather(*waiting)


async def test_an_asynchronous_body_is_read_before_a_thread_sends_it(gate: threading.Event) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    gate.set()
    request = Request("POST", "https://api.example/notes", body=pieces())
    assert (await ThreadedTransport(Slow(gate)).send(request)).content == b"ab"
