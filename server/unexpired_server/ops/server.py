"""Uvicorn's server with bounded connections, and a drain before its end.

It overrides private parts of uvicorn; ``tests/server/test_bounded_http.py`` names them.

Signals: SIGTERM begins the drain, then running requests are finished. SIGINT ends without a drain,
and leaves running requests a second. A second signal ends at once.

Connections are accepted here and not by the event loop, which would go on accepting until no file
descriptor is left. At the bound the oldest idle connections are closed first, those that have not
sent a request before those that have; while all are in use, new ones wait in the kernel's queue.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from unexpired_server.ops.bounded_http import BoundedHttpToolsProtocol, BoundedProtocol
from unexpired_server.ops.draining import Draining

TICKS = 10
"""Uvicorn's ticks in a second."""

AT_ONCE_SECONDS = 1
"""How long running requests may take when there is no time."""

PAUSE_SECONDS = 0.05
"""Between two attempts to accept a connection while that cannot be done."""

BATCH = 32
"""One of so many connections is closed at the bound, so that not each new one has to look."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

CLOSE = (b"connection", b"close")


class Server(uvicorn.Server):
    """Serves connections from a listening socket.

    Args:
        config: Uvicorn's configuration.
        max_connections: How many connections may be open.
        drain_seconds: How long to accept requests after SIGTERM.
        draining: Is set when the drain begins.
        ready: Called once, when the server accepts connections.
        tick: Called every second from then on.
    """

    def __init__(  # noqa: PLR0913 - each is another part of serving
        self,
        config: uvicorn.Config,
        *,
        max_connections: int,
        drain_seconds: float,
        draining: Draining,
        ready: Callable[[], None],
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._max_connections = max_connections
        self._drain_seconds = drain_seconds
        self._drains_until: float | None = None
        self._draining = draining
        self._ready = ready
        self._tick = tick
        self._acceptors: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, accept connections, then call ``ready``."""
        await super().startup([])  # The sockets are ours.
        if self.started:
            self._acceptors = [asyncio.create_task(self._accept(one)) for one in sockets or ()]
            self._ready()

    async def on_tick(self, counter: int) -> bool:
        """Close what keeps the server waiting; return whether to stop."""
        if counter % TICKS == 0:
            now = time.monotonic()
            for connection in self._connections():
                connection.close_if_overdue(now)
            self._tick()
        until = self._drains_until
        return await super().on_tick(counter) or (until is not None and time.monotonic() >= until)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, finish running requests, and stop."""
        self._draining.begin()
        for acceptor in self._acceptors:
            acceptor.cancel()
        await asyncio.gather(*self._acceptors, return_exceptions=True)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain, stop, or stop at once."""
        if not self.started:  # It may wait for a database for long; nothing is lost yet.
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        if self._drains_until is not None or self.should_exit:
            self.force_exit = True
        elif sig == signal.SIGTERM and self._drain_seconds:
            self._captured_signals.append(sig)
            self._begin_to_drain()
            return
        elif sig == signal.SIGINT:
            self.config.timeout_graceful_shutdown = AT_ONCE_SECONDS
        super().handle_exit(sig, frame)

    def stop_at_once(self) -> None:
        """Stop without a drain, and leave running requests a second."""
        self.config.timeout_graceful_shutdown = AT_ONCE_SECONDS
        self.should_exit = True

    def _begin_to_drain(self) -> None:
        self._draining.begin()
        self._drains_until = time.monotonic() + self._drain_seconds
        # The first list is for the ticks to come, the second one for now.
        self.config.encoded_headers.append(CLOSE)
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self.server_state.connections)

    def _connections(self) -> list[BoundedProtocol]:
        found = self.server_state.connections
        return [connection for connection in found if isinstance(connection, BoundedProtocol)]

    async def _accept(self, listener: socket.socket) -> None:
        listener.setblocking(False)  # noqa: FBT003 - its only parameter
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
                await self._make_room()
                await loop.connect_accepted_socket(self._protocol, connection)
            except OSError as exc:  # The client has gone, or there are no file descriptors.
                if exc.errno in EXHAUSTED:
                    await asyncio.sleep(PAUSE_SECONDS)

    def _protocol(self) -> asyncio.Protocol:
        return BoundedHttpToolsProtocol(self.config, self.server_state, self.lifespan.state)

    async def _make_room(self) -> None:
        while len(self.server_state.connections) >= self._max_connections:
            idle = [one for one in self._connections() if not one.is_busy]
            idle.sort(key=lambda one: one.idleness)
            for connection in idle[: self._max_connections // BATCH + 1]:
                connection.make_room()
            await asyncio.sleep(0 if idle else PAUSE_SECONDS)
