"""Proxies on loopback that fail as a test asks: one for HTTP, one for a database's TCP."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import h11
import httpx
from sqlalchemy.engine import make_url

CHUNK = 65536
SLOW_SECONDS = 0.1
"""A slow response is sent in parts, with such pauses."""
POSTGRES_PORT = 5432
HOP_BY_HOP = {b"connection", b"transfer-encoding", b"content-encoding", b"content-length"}

RawResponse = tuple[int, list[tuple[bytes, bytes]], bytes]


@dataclass
class ReceivedRequest:
    """One request as it reached the proxy.

    Attributes:
        at: When, in monotonic seconds.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def call(self) -> str:
        """Method and path, such as "POST /api/refresh"."""
        return f"{self.method} {self.path}"


@dataclass
class Fault:
    """What happens to the next requests for a path.

    Attributes:
        path: The path, without the query.
        times: How many requests; None for all.
        response: Sent by the proxy; the server never sees the request.
        drops: The connection is closed instead of forwarding the request or its response.
        gate: The request waits until the test opens it.
        change: Makes another response of the server's.
        rate: How many bytes of the response are sent in a second.
    """

    path: str
    times: int | None = None
    response: RawResponse | None = None
    drops: Literal["request", "response"] | None = None
    gate: threading.Event | None = None
    change: Callable[[RawResponse], RawResponse] | None = None
    rate: int | None = None


@dataclass
class HTTPProxy:
    """Listens on a free port, in a thread, and forwards every request to the server.

    Args:
        upstream: The server's address.
    """

    upstream: str
    received: list[ReceivedRequest] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    url: str = ""

    # -- What a test asks for ------------------------------------------------------------------

    def clear(self) -> None:
        """Forward everything from now on, and forget the requests so far."""
        for fault in self.faults:
            if fault.gate is not None:
                fault.gate.set()
        self.faults.clear()
        self.received.clear()

    def respond(
        self, path: str, status: int, body: Any = "", times: int | None = None, **headers: str
    ) -> None:
        """Respond in the server's place; header names are written with underscores."""
        kind = "text/html" if isinstance(body, str) else "application/json"
        content = body if isinstance(body, str) else json.dumps(body)
        named = {"content-type": kind, **headers}
        fields = [(k.replace("_", "-").encode(), v.encode()) for k, v in named.items()]
        self.faults.append(Fault(path, times, response=(status, fields, content.encode())))

    def drop(
        self,
        path: str,
        what: Literal["request", "response"] = "request",
        times: int | None = None,
    ) -> None:
        """Close the connection instead of forwarding the request or its response."""
        self.faults.append(Fault(path, times, drops=what))

    def hold(self, path: str, times: int | None = None) -> Callable[[], None]:
        """Hold requests until the returned function is called."""
        gate = threading.Event()
        self.faults.append(Fault(path, times, gate=gate))
        return gate.set

    def change(self, path: str, change: Callable[[RawResponse], RawResponse]) -> None:
        """Make another response of each of the server's."""
        self.faults.append(Fault(path, change=change))

    def slow(self, path: str, rate: int) -> None:
        """Send so many bytes of a response in a second, until all faults are cleared."""
        self.faults.append(Fault(path, rate=rate))

    def count(self, call: str) -> int:
        """Return how many of these requests arrived, such as "POST /api/refresh"."""
        return len(self.calls(call))

    def calls(self, call: str) -> list[ReceivedRequest]:
        """Return the requests of this kind, in order."""
        return [received for received in self.received if received.call == call]

    # -- Running -------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen, in a thread."""
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        """Close every connection and stop listening."""
        self.clear()
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(ready))
        self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        self._stopped = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._http = httpx.AsyncClient(base_url=self.upstream, timeout=60)
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await self._stopped.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._http.aclose()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        with suppress(ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
            await _Connection(self, reader, writer).serve()
        writer.close()
        self._connections.discard(task)

    def fault_for(self, path: str) -> Fault | None:
        """Return what is to happen to the next request for a path."""
        for fault in self.faults:
            if fault.path == path and fault.times != 0:
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None

    async def forward(self, received: ReceivedRequest, target: str) -> RawResponse:
        """Send the request to the server and return its response."""
        kept = {k: v for k, v in received.headers.items() if k.encode() not in HOP_BY_HOP}
        response = await self._http.request(
            received.method, target, headers=kept, content=received.body
        )
        fields = [(k, v) for k, v in response.headers.raw if k.lower() not in HOP_BY_HOP]
        return response.status_code, fields, response.content


@dataclass
class _Connection:
    proxy: HTTPProxy
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def serve(self) -> None:
        connection = h11.Connection(h11.SERVER)
        while True:
            request, body = await self._request(connection)
            if request is None:
                return
            target = request.target.decode()
            received = self._receive(request, target, body)
            fault = self.proxy.fault_for(received.path) or Fault(received.path)
            response = await self._response(received, target, fault)
            if response is None:
                return
            await self._send(connection, response, fault, is_head=request.method == b"HEAD")
            if connection.our_state is not h11.DONE:
                return
            connection.start_next_cycle()

    async def _request(self, connection: h11.Connection) -> tuple[h11.Request | None, bytes]:
        request, body = None, b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await self.reader.read(CHUNK))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return request, body
            else:
                return None, b""

    def _receive(self, request: h11.Request, target: str, body: bytes) -> ReceivedRequest:
        headers = {k.decode(): v.decode() for k, v in request.headers}
        path = target.partition("?")[0]
        received = ReceivedRequest(request.method.decode(), path, headers, body, time.monotonic())
        self.proxy.received.append(received)
        return received

    async def _response(
        self, received: ReceivedRequest, target: str, fault: Fault
    ) -> RawResponse | None:
        if fault.gate is not None:
            await asyncio.to_thread(fault.gate.wait)
        if fault.drops == "request":
            return None
        response = fault.response or await self.proxy.forward(received, target)
        if fault.change is not None:
            response = fault.change(response)
        return None if fault.drops else response

    async def _send(
        self, connection: h11.Connection, response: RawResponse, fault: Fault, *, is_head: bool
    ) -> None:
        status, fields, content = response
        fields = [*fields, (b"content-length", str(len(content)).encode())]
        await self._write(connection, h11.Response(status_code=status, headers=fields))
        size = int(fault.rate * SLOW_SECONDS) if fault.rate else CHUNK
        for start in range(0, 0 if is_head else len(content), size):
            await self._write(connection, h11.Data(data=content[start : start + size]))
            if fault.rate and fault in self.proxy.faults:
                await asyncio.sleep(SLOW_SECONDS)
        await self._write(connection, h11.EndOfMessage())

    async def _write(self, connection: h11.Connection, event: Any) -> None:
        self.writer.write(connection.send(event) or b"")
        await self.writer.drain()


class TCPProxy:
    """Forwards bytes to a database, in the test's own event loop, until it is paused or cut.

    Args:
        url: The database's address.

    Attributes:
        round_trips: How often a client sent something, and so waited for a response.
        connections: How many connections were opened.
    """

    round_trips = 0
    connections = 0

    def __init__(self, url: str) -> None:
        self._upstream = make_url(url)
        self._server: asyncio.Server | None = None
        self._flowing = _set_event()
        self._stranded: list[asyncio.Event] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = 0

    @property
    def url(self) -> str:
        """The database's address through this proxy."""
        address = self._upstream.set(host="127.0.0.1", port=self._port)
        return address.render_as_string(hide_password=False)

    async def open(self) -> None:
        """Listen on a free port; when opened again, on the same one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def pause(self) -> None:
        """Keep every connection open and forward nothing."""
        self._flowing.clear()

    def resume(self) -> None:
        """Forward what was held back, and everything after it."""
        for flowing in (self._flowing, *self._stranded):
            flowing.set()

    def strand(self) -> None:
        """Let the connections that are open stay silent; new ones work."""
        self._flowing.clear()
        self._stranded.append(self._flowing)
        self._flowing = _set_event()

    def cut(self) -> None:
        """Abort every connection and stop listening, as a restarting server does."""
        if self._server:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._upstream.host or "127.0.0.1", self._upstream.port or POSTGRES_PORT
        upstream_reader, upstream_writer = await asyncio.open_connection(host, port)
        self.connections += 1
        flowing = self._flowing
        await asyncio.gather(
            self._pump(reader, upstream_writer, flowing, is_client=True),
            self._pump(upstream_reader, writer, flowing),
        )

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        flowing: asyncio.Event,
        *,
        is_client: bool = False,
    ) -> None:
        self._writers.add(writer)
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                self.round_trips += is_client
                await flowing.wait()
                writer.write(chunk)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()


def _set_event() -> asyncio.Event:
    flowing = asyncio.Event()
    flowing.set()
    return flowing
