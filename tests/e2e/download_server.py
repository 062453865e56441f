"""A server of another origin whose responses arrive piece by piece, as a test releases them."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.support.threaded_server import QuietHandler, ThreadedServer

TIMEOUT = 60.0  # s, for a busy machine

Behaviour = Callable[["Handler"], None]


class Handler(QuietHandler):
    """Responds to one request, with CORS for any page."""

    behaviours: dict[str, Behaviour]
    served: list[tuple[str, dict[str, str]]]

    def do_OPTIONS(self) -> None:  # noqa: N802 - the base class names it
        """Allow what a page asks for."""
        self.start(204, access_control_allow_headers="authorization, last-event-id")

    def do_GET(self) -> None:  # noqa: N802 - the base class names it
        """Respond as the test has it."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.served.append((self.path, headers))
        self.behaviours[self.path](self)

    def start(self, status: int, **headers: str) -> None:
        """Send the head; names are written with underscores."""
        self.send_response(status)
        allowed = {"access_control_allow_origin": self.headers.get("origin", "*")}
        for name, value in {**allowed, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def write(self, text: str | bytes) -> None:
        """Send a piece of the body."""
        self.wfile.write(text.encode() if isinstance(text, str) else text)
        self.wfile.flush()

    def wait_for_hang_up(self) -> None:
        """Wait until the browser closes the connection."""
        self.connection.settimeout(TIMEOUT)
        while self.connection.recv(1):
            pass


class DownloadServer(ThreadedServer):
    """The server, in threads.

    Attributes:
        behaviours: What it does, by path.
        served: The path and the headers of each request so far.
    """

    def __init__(self) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.served: list[tuple[str, dict[str, str]]] = []
        names = {"behaviours": self.behaviours, "served": self.served}
        super().__init__(type("Bound", (Handler,), names))

    def reset(self) -> None:
        """Forget what a test has set."""
        self.behaviours.clear()
        self.served.clear()

    def tokens(self, path: str) -> list[str]:
        """Return the Authorization header of each request for a path."""
        return [headers.get("authorization", "") for one, headers in self.served if one == path]


def token_expired(handler: Handler) -> None:
    """Respond as our server does to an expired token."""
    handler.start(401, content_type="application/json")
    handler.write(json.dumps({"error": "Over.", "code": "TOKEN_EXPIRED"}))
