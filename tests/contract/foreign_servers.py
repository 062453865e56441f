"""Servers that are not ours: they note what they are sent, and misbehave as a test asks them to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

Behaviour = Callable[[BaseHTTPRequestHandler], None]


class Stranger:
    """A server on a port of its own.

    Args:
        behaviours: what it does, by path; anything else is a 200 with the word "hello".
    """

    def __init__(self, behaviours: Mapping[str, Behaviour] | None = None) -> None:
        self.behaviours = dict(behaviours or {})
        self.seen: list[tuple[str, Mapping[str, str], bytes]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start to serve."""
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def tokens(self) -> list[str | None]:
        """The Authorization of each request, in order."""
        return [headers.get("authorization") for _, headers, _ in self.seen]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stranger = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                stranger.seen.append((f"{self.command} {self.path}", headers, body))
                stranger.behaviours.get(self.path, says("hello"))(self)

            do_GET = do_POST = do_OPTIONS = answer  # noqa: N815 - the base class calls it so

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        return Handler


def says(text: str, status: int = 200, **headers: str) -> Behaviour:
    """Answer with a text; header names are given with underscores."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        content = text.encode()
        handler.send_response(status)
        for name, value in ({"content_length": str(len(content))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def leads_to(url: str, status: int = 302) -> Behaviour:
    """Answer with a redirect."""
    return says("", status, location=url)


def expired(handler: BaseHTTPRequestHandler) -> None:
    """Answer as our server does to an expired token."""
    says('{"error": "Over.", "code": "TOKEN_EXPIRED"}', 401)(handler)
