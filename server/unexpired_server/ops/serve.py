"""Runs the server in this process, with uvicorn."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from unexpired_server.ops.bounded_http import HEADER_BYTES, BoundedHttpToolsProtocol
from unexpired_server.ops.logs import log_config
from unexpired_server.ops.metrics import SHARED_FOLDER
from unexpired_server.settings import Settings, SettingsError

Build = Callable[[Settings], Starlette]

GRACEFUL_SECONDS = 10
"""How long running requests may take after SIGTERM."""

WORKER_START_SECONDS = 60
"""How long a worker may take to import the application. Uvicorn kills and replaces a slower one, so
with its default of 5 seconds a busy machine never starts any."""


class Server(uvicorn.Server):
    """Uvicorn's server, which says when it accepts connections.

    Args:
        config: Uvicorn's configuration.
        ready: Called once, when the server accepts connections.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then call ``ready``."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def serve(settings: Settings, build: Build, announce: Callable[[str], None]) -> None:
    """Serve until a signal stops the process.

    Args:
        settings: The server's settings.
        build: Builds the application; a function that worker processes can import by name.
        announce: Called with the URL once the server accepts connections.

    Raises:
        SettingsError: The settings, the keys or the address cannot be used.
    """
    app = build(settings)
    listener = listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    if settings.workers == 1:
        Server(_config(settings, app), lambda: announce(address)).run(sockets=[listener])
        return
    # Each worker builds its own application; the one above shows that the settings work.
    config = _config(settings, partial(build, settings), factory=True, workers=settings.workers)
    with TemporaryDirectory(prefix="unexpired-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        listener.listen()
        announce(address)
        Multiprocess(config, sockets=[listener]).run()


def _config(
    settings: Settings, app: Starlette | Callable[[], Starlette], **more: Any
) -> uvicorn.Config:
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
        timeout_worker_healthcheck=WORKER_START_SECONDS,
        log_config=log_config(settings.log_level),
        **more,
    )


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
