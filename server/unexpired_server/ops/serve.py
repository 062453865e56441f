"""Runs the server in this process, or in several workers."""

from __future__ import annotations

import gc
import logging
import logging.config
import math
import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import STARTUP_FAILURE

from unexpired_server.errors import Unavailable
from unexpired_server.ops.bounded_http import HEADER_BYTES, BoundedHttpToolsProtocol
from unexpired_server.ops.counters import counter_in
from unexpired_server.ops.draining import Draining
from unexpired_server.ops.logs import log_config
from unexpired_server.ops.metrics import SHARED_FOLDER
from unexpired_server.ops.server import Server
from unexpired_server.ops.supervisor import Lifeline, Supervisor
from unexpired_server.settings import Settings, SettingsError

Build = Callable[[Settings], Starlette]

GRACEFUL_SECONDS = 10
"""How long running requests may take after SIGTERM, or after the drain."""

BACKLOG = 2048
"""How many connections may wait in the kernel to be accepted."""

OTHER_FILES = 64
"""File descriptors that are neither connections of clients nor of the database."""

YOUNG = 10_000
"""How many objects are made before Python looks for cycles; by default 700, as many as a dozen
requests in flight have, which are then looked through for nothing."""

MANY = 100_000
"""Connections of a worker where the system sets no limit."""


def serve(settings: Settings, build: Build, announce: Callable[[str], None]) -> None:
    """Serve until a signal stops the process.

    Args:
        settings: The server's settings.
        build: Builds the application; a function that worker processes can import by name.
        announce: Called with the URL once the server accepts connections.

    Raises:
        SettingsError: The settings, the keys or the address cannot be used.
        SystemExit: The application cannot start, or no worker can.
    """
    app = build(settings)  # Workers build their own; this one shows that the settings work.
    listener = listen(settings.host, settings.port)
    listener.listen(BACKLOG)
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    if settings.workers == 1:
        server = _server(app, settings, lambda: announce(address))
        server.run(sockets=[listener])
        return
    logging.config.dictConfig(log_config(settings.log_level))
    with TemporaryDirectory(prefix="unexpired-workers-") as folder:
        os.environ[SHARED_FOLDER] = folder
        counter_in(folder)  # Creates the file, before workers do so at once.
        work = _Work(settings, build, listener)
        seconds = settings.drain_seconds + 2 * GRACEFUL_SECONDS
        exit_code = Supervisor(work, settings.workers, lambda: announce(address), seconds).run()
    if exit_code:
        sys.exit(exit_code)


@dataclass(frozen=True)
class _Work:
    """What a worker does; it is pickled."""

    settings: Settings
    build: Build
    listener: socket.socket

    def __call__(self, lifeline: Lifeline) -> None:
        server: Server | None = None

        def stop() -> None:
            if server is not None and server.started:
                server.stop_at_once()
            else:  # It may wait for a database for long.
                os._exit(STARTUP_FAILURE)

        lifeline.when_cut(stop)
        app = self.build(self.settings)
        server = _server(app, self.settings, lifeline.beat, lifeline.beat)
        server.run(sockets=[self.listener])


def _server(
    app: Starlette,
    settings: Settings,
    ready: Callable[[], None],
    tick: Callable[[], None] = lambda: None,
) -> Server:
    service = getattr(app.state, "service", None)

    def begin() -> None:
        _spare_collector()
        ready()

    server = Server(
        _config(OneSentence(app), settings),
        max_connections=settings.max_connections or _connections(settings.pool_size),
        drain_seconds=settings.drain_seconds,
        draining=getattr(service, "draining", None) or Draining(),
        ready=begin,
        tick=tick,
    )
    if service is not None:
        text = "Connections of clients that are open."
        service.metrics.gauge("connections", text, lambda: server.connections)
    return server


def _spare_collector() -> None:
    """Spare the collector of cycles what the start has made; it stays anyway.

    With ``YOUNG`` it saves 6 % of the processor time of a refresh over HTTP.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


def _config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedHttpToolsProtocol,
        h11_max_incomplete_event_size=HEADER_BYTES,
        ws="none",
        lifespan="on",
        server_header=False,
        proxy_headers=False,  # The application reads them itself, under any ASGI server.
        access_log=False,  # Ours has the route and the request id as well.
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        timeout_keep_alive=math.ceil(settings.keep_alive),
        log_config=log_config(settings.log_level),
    )


def _connections(pool_size: int) -> int:
    """Return how many connections of clients this process has file descriptors for."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return MANY
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MANY
    return min(MANY, max(files - pool_size - OTHER_FILES, files // 2))


class OneSentence:
    """Reports in one sentence why an application cannot start, where the reason is known.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, except the traceback of a failed start."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_without_traceback(message: Message) -> None:
            if message["type"] != "lifespan.startup.failed":
                await send(message)

        try:
            await self._app(scope, receive, send_without_traceback)
        except SettingsError as exc:
            await send({"type": "lifespan.startup.failed", "message": str(exc)})
        except Unavailable:
            sentence = "The database is unavailable."
            await send({"type": "lifespan.startup.failed", "message": sentence})


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address.

    Raises:
        SettingsError: The address is in use, or not one of this machine's.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # The protocol is explicit: asyncio disables Nagle's algorithm only on a socket that says
        # TCP, and otherwise each response waits 40 ms for the client's acknowledgement.
        with ExitStack() as on_error:
            listener = on_error.enter_context(socket.socket(family, kind, proto))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            on_error.pop_all()
    except OSError as exc:
        raise SettingsError(f"Cannot listen on {host} port {port}: {exc.strerror}") from None
    return listener
