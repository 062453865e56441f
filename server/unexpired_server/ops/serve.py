"""Running the server in this process: uvicorn, and what it writes to the log."""

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
"""How long requests under way may take after SIGTERM."""


class Server(uvicorn.Server):
    """Uvicorn, with a word when it really takes requests.

    Args:
        config: Uvicorn's own.
        ready: Called once, when connections are accepted.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def serve(settings: Settings, build: Build, announce: Callable[[str], None]) -> None:
    """Serve until told to stop.

    Args:
        settings: How it behaves, where to listen, and with how many workers.
        build: Builds the application; workers import it by its name.
        announce: Called with the address once connections are accepted.

    Raises:
        SettingsError: The settings, the keys or the address cannot be used.
    """
    app = build(settings)
    listener = listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    if settings.workers == 1:
        Server(_config(app), lambda: announce(address)).run(sockets=[listener])
        return
    # Each worker builds its own; what was built here has shown that it can be.
    config = _config(partial(build, settings), factory=True, workers=settings.workers)
    with TemporaryDirectory(prefix="unexpired-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        listener.listen()
        announce(address)
        Multiprocess(config, sockets=[listener]).run()


def _config(app: Starlette | Callable[[], Starlette], **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedHttpToolsProtocol,
        h11_max_incomplete_event_size=HEADER_BYTES,
        ws="none",
        lifespan="on",
        server_header=False,
        proxy_headers=False,  # The application looks at them itself, under any ASGI server.
        access_log=False,  # It knows the route as well, and the request's id.
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        log_config=log_config(),
        **more,
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to an address.

    Raises:
        SettingsError: The address is taken, or is not ours.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With its protocol named: asyncio turns Nagle's delay off only where it sees TCP, and
        # every reply would wait 40 ms for the client's acknowledgement.
        with ExitStack() as unless_bound:
            listener = unless_bound.enter_context(socket.socket(family, kind, proto))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            unless_bound.pop_all()
    except OSError as exc:
        raise SettingsError(f"Cannot listen on {host} port {port}: {exc.strerror}") from None
    return listener
