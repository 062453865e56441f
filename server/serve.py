"""Running the server in this process: uvicorn, and what it writes to the log."""

import copy
import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import uvicorn
from starlette.applications import Starlette

from server.settings import Settings, SettingsError

HEADER_BYTES = 16 * 1024
"""A request's line and headers together; uvicorn answers 400 beyond."""

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


class WithoutQuery(logging.Filter):
    """Cuts the query off an access log line: people paste tokens into addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every line, without what follows its question mark."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args
            )
        return True


def serve(app: Starlette, settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until told to stop.

    Args:
        app: What to serve.
        settings: Where to listen, and which proxies to believe.
        announce: Called with the address once connections are accepted.

    Raises:
        SettingsError: The address cannot be listened on.
    """
    listener = listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        server_header=False,
        proxy_headers=False,  # The application looks at them itself, under any ASGI server.
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        log_config=_logging(),
    )
    Server(config, lambda: announce(address)).run(sockets=[listener])


def _logging() -> dict[str, Any]:
    """Uvicorn's logging, with our own lines in it, and all of it on standard error."""
    config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["filters"] = {"without_query": {"()": WithoutQuery}}
    config["handlers"]["access"] |= {"stream": "ext://sys.stderr", "filters": ["without_query"]}
    config["loggers"]["unexpired"] = {"handlers": ["default"], "level": "INFO"}
    return config


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
