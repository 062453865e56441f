"""A proxy between the browser and the server that fails as a test tells it to."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import h11
import httpx

CHUNK = 65536
HOP_BY_HOP = {b"connection", b"transfer-encoding", b"content-encoding", b"content-length", b"host"}

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


@dataclass
class Received:
    """One request as it reached the proxy.

    Attributes:
        at: when, in monotonic seconds.
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
    """What happens to the requests for a path, for so many of them.

    Attributes:
        path: the path, without the query.
        times: for how many requests; None for all.
        answer: answered by the proxy itself; the server hears nothing.
        delay: held for so many seconds first.
        drop: the connection is closed in place of a request or of a reply.
        gate: held until the test opens it.
    """

    path: str
    times: int | None = None
    answer: Answer | None = None
    delay: float = 0.0
    drop: str = ""
    gate: threading.Event | None = None


@dataclass
class Proxy:
    """Listens on a free port of its own and passes everything on to the server.

    Args:
        upstream: the server's address.
    """

    upstream: str
    received: list[Received] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    url: str = ""

    # -- What a test says ----------------------------------------------------------------------

    def clear(self) -> None:
        """Pass everything on from now on, and forget what was received."""
        for fault in self.faults:
            if fault.gate is not None:
                fault.gate.set()
        self.faults.clear()
        self.received.clear()

    def answers(
        self, path: str, status: int, body: Any = "", times: int | None = None, **headers: str
    ) -> None:
        """Answer in the server's place; names of headers are written with underscores."""
        kind = "text/html" if isinstance(body, str) else "application/json"
        content = body if isinstance(body, str) else json.dumps(body)
        named = {"content-type": kind, **headers}
        fields = [(k.replace("_", "-").encode(), v.encode()) for k, v in named.items()]
        self.faults.append(Fault(path, times, answer=(status, fields, content.encode())))

    def delays(self, path: str, seconds: float, times: int | None = None) -> None:
        """Hold requests for a while."""
        self.faults.append(Fault(path, times, delay=seconds))

    def drops(self, path: str, what: str = "request", times: int | None = None) -> None:
        """Close the connection in place of the ``request`` or of the ``reply``."""
        self.faults.append(Fault(path, times, drop=what))

    def holds(self, path: str, times: int | None = None) -> Callable[[], None]:
        """Hold requests until the returned function is called."""
        gate = threading.Event()
        self.faults.append(Fault(path, times, gate=gate))
        return gate.set

    def count(self, call: str) -> int:
        """How often this was asked for, such as "POST /api/refresh"."""
        return len(self.calls(call))

    def calls(self, call: str) -> list[Received]:
        """The requests of this kind, in order."""
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
        """Close everything."""
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

    async def forward(self, received: Received, target: str) -> Answer:
        """Ask the server."""
        kept = {k: v for k, v in received.headers.items() if k.encode() not in HOP_BY_HOP}
        answer = await self._http.request(
            received.method, target, headers=kept, content=received.body
        )
        fields = [(k, v) for k, v in answer.headers.raw if k.lower() not in HOP_BY_HOP]
        return answer.status_code, fields, answer.content


@dataclass
class _Connection:
    proxy: Proxy
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def serve(self) -> None:
        connection = h11.Connection(h11.SERVER)
        while True:
            request, body = await self._request(connection)
            if request is None:
                return
            answer = await self._answer(request, body)
            if answer is None:
                return
            self._send(connection, answer, is_head=request.method == b"HEAD")
            await self.writer.drain()
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

    async def _answer(self, request: h11.Request, body: bytes) -> Answer | None:
        proxy, target = self.proxy, request.target.decode()
        headers = {k.decode(): v.decode() for k, v in request.headers}
        path = target.partition("?")[0]
        received = Received(request.method.decode(), path, headers, body, time.monotonic())
        proxy.received.append(received)
        fault = proxy.fault_for(path) or Fault(path)
        await asyncio.sleep(fault.delay)
        if fault.gate is not None:
            await asyncio.to_thread(fault.gate.wait)
        if fault.drop == "request":
            return None
        answer = fault.answer or await proxy.forward(received, target)
        return None if fault.drop else answer

    def _send(self, connection: h11.Connection, answer: Answer, *, is_head: bool) -> None:
        status, fields, content = answer
        fields = [*fields, (b"content-length", str(len(content)).encode())]
        events: Iterable[Any] = (
            h11.Response(status_code=status, headers=fields),
            *((h11.Data(data=content),) if content and not is_head else ()),
            h11.EndOfMessage(),
        )
        for event in events:
            self.writer.write(connection.send(event) or b"")
