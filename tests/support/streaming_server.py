"""A server in memory whose responses arrive piece by piece, for both kinds of client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.fake_server import API, AsyncFakeServer, SyncFakeServer
from unexpired import AsyncResponseStream, Headers, Request, ResponseStream, Unreachable

Piece = bytes | Exception | float
"""What arrives next: bytes, a failure, or seconds of silence."""


@dataclass
class Script:
    """The body of one response, as it arrives.

    Attributes:
        pieces: What arrives, in order.
        sleep: Lets the sync client's time pass.
        limits: The limit of each wait so far.
        is_closed: Whether the client has closed the connection.
    """

    pieces: list[Piece]
    sleep: Callable[[float], None]
    limits: list[float | None] = field(default_factory=list)
    is_closed: bool = False

    def read(self, timeout: float | None) -> bytes:
        """Return the next piece."""
        self.limits.append(timeout)
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        if isinstance(piece, bytes):
            return piece
        if timeout is not None and piece > timeout:
            self.sleep(timeout)
            raise Unreachable
        self.sleep(piece)
        return self.read(timeout)

    def close(self) -> None:
        """Note that the connection is closed."""
        self.is_closed = True


@dataclass
class AsyncScript:
    """The same for code that awaits."""

    script: Script

    async def read(self) -> bytes:
        """Return the next piece."""
        pieces = self.script.pieces
        while pieces and isinstance(pieces[0], float):
            await asyncio.sleep(pieces[0])
            pieces.pop(0)
        return self.script.read(None)

    def close(self) -> None:
        """Note that the connection is closed."""
        self.script.close()


Answer = tuple[int, dict[str, str], list[Piece]]


@dataclass
class Streams:
    """The streams of a server.

    Attributes:
        answers: By path, what is sent: status, headers and pieces; the last one stays.
        opened: The streams so far, of every path.
    """

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    opened: list[Script] = field(default_factory=list)

    def add(self, path: str, *pieces: Piece, status: int = 200, **headers: str) -> None:
        """Send this at the next request for a path."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.setdefault(path, []).append((status, named, [*pieces]))

    def start(
        self, request: Request, sleep: Callable[[float], None]
    ) -> tuple[int, Headers, Script] | None:
        """Return the next stream of a path, if it has one."""
        answers = self.answers.get(request.url.removeprefix(API).partition("?")[0], [])
        if not answers:
            return None
        status, headers, pieces = answers[0] if len(answers) == 1 else answers.pop(0)
        script = Script([*pieces], sleep)
        self.opened.append(script)
        return status, Headers(headers), script


@dataclass
class AsyncStreamingServer(AsyncFakeServer):
    """The transport of an ``AsyncClient``."""

    streams: Streams = field(default_factory=Streams)

    async def open(self, request: Request) -> AsyncResponseStream:
        """Respond with a stream to a good token, else as ever."""
        response = await self.send(request)
        started = self.streams.start(request, lambda _: None) if response.is_success else None
        if started is None:
            return AsyncResponseStream.of(response)
        status, headers, script = started
        return AsyncResponseStream(status, headers, AsyncScript(script), url=request.url)


@dataclass
class SyncStreamingServer(SyncFakeServer):
    """The transport of a ``Client``."""

    streams: Streams = field(default_factory=Streams)

    def open(self, request: Request, timeout: float | None) -> ResponseStream:
        """Respond with a stream to a good token, else as ever."""
        response = self.send(request, timeout)
        started = self.streams.start(request, self.clock.advance) if response.is_success else None
        if started is None:
            return ResponseStream.of(response)
        status, headers, script = started
        return ResponseStream(status, headers, script, url=request.url)
