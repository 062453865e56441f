"""HTTP servers of other origins, which record requests and misbehave as a test asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler

from tests.support.threaded_server import QuietHandler, ThreadedServer

Behaviour = Callable[[BaseHTTPRequestHandler], None]


class ForeignServer(ThreadedServer):
    """A server on a free port, in a thread.

    Args:
        behaviours: What it does, by path; any other path gets a 200 with the text "hello".
    """

    def __init__(self, behaviours: Mapping[str, Behaviour] | None = None) -> None:
        self.behaviours = dict(behaviours or {})
        self.seen: list[tuple[str, Mapping[str, str], bytes]] = []
        super().__init__(self._handler())

    @property
    def tokens(self) -> list[str | None]:
        """The Authorization header of each request, in order."""
        return [headers.get("authorization") for _, headers, _ in self.seen]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(QuietHandler):
            def respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.seen.append((f"{self.command} {self.path}", headers, body))
                server.behaviours.get(self.path, text_response("hello"))(self)

            do_GET = do_POST = do_OPTIONS = respond  # noqa: N815 - the base class names them

        return Handler


def text_response(text: str, status: int = 200, **headers: str) -> Behaviour:
    """Respond with a text; header names are written with underscores."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        content = text.encode()
        handler.send_response(status)
        for name, value in ({"content_length": str(len(content))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return respond


def redirect_to(url: str, status: int = 302) -> Behaviour:
    """Respond with a redirect."""
    return text_response("", status, location=url)


def token_expired(handler: BaseHTTPRequestHandler) -> None:
    """Respond as our server does to an expired token."""
    text_response('{"error": "Over.", "code": "TOKEN_EXPIRED"}', 401)(handler)
