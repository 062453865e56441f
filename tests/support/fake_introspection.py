"""An introspection endpoint (RFC 7662), which misbehaves as a test asks."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from tests.support.fake_issuer import AUDIENCE, OIDC, Answer
from tests.support.threaded_server import QuietHandler, ThreadedServer

ENDPOINT = "/introspect"
TOKEN = "opaque"
CLIENT_ID = "orders: the API"
CLIENT_SECRET = "s3cret+ä/:?&="


@dataclass(frozen=True)
class Asked:
    """A request that was received.

    Attributes:
        path: Its path.
        headers: Its headers, with names in lower case.
        fields: Its form.
    """

    path: str
    headers: dict[str, str]
    fields: dict[str, list[str]]


class FakeIntrospection(ThreadedServer):
    """An authorization server on a free port of this machine, in a thread.

    Args:
        now: The clock, in Unix seconds.
        client_id: Who may ask.
        client_secret: Its secret.

    Attributes:
        tokens: What it says of each token; it knows no others.
        asked: The requests to the endpoint.
        answer: Responds to all requests, if it is set.
        open: Requests hang while it is not set.
        most_at_once: How many hung at once.
        metadata: How it describes itself.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.time,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
    ) -> None:
        self._now = now
        self._client = client_id, client_secret
        super().__init__(self._handler())
        self.tokens: dict[str, dict[str, Any]] = {}
        self.asked: list[Asked] = []
        self.answer: Answer | None = None
        self.most_at_once = 0
        self._hanging = 0
        self._lock = threading.Lock()
        self.open = threading.Event()
        self.open.set()
        self.metadata: dict[str, Any] = {
            "issuer": self.url,
            "introspection_endpoint": self.endpoint,
        }

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a request while it hangs."""
        with self._lock:
            self._hanging += 1
            self.most_at_once = max(self.most_at_once, self._hanging)
        yield
        with self._lock:
            self._hanging -= 1

    @property
    def endpoint(self) -> str:
        """The endpoint's address."""
        return self.url + ENDPOINT

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self.open.set()
        super().__exit__()

    def issue(self, token: str = TOKEN, **members: Any) -> str:
        """Know a token, and return it; members that are None are left out."""
        said = {
            "active": True,
            "sub": "ada",
            "iss": self.url,
            "aud": [AUDIENCE],
            "client_id": "web",
            "scope": "orders:read orders:write",
            "token_type": "Bearer",
            "iat": int(self._now()),
            "exp": int(self._now()) + 300,
        } | members
        self.tokens[token] = {name: one for name, one in said.items() if one is not None}
        return token

    def revoke(self, token: str) -> None:
        """Forget a token."""
        del self.tokens[token]

    def says(self, token: str) -> dict[str, Any]:
        """Return the response about a token, as the standard has it."""
        said = self.tokens.get(token, {"active": False})
        expires_at = said.get("exp")
        has_expired = isinstance(expires_at, float | int) and 1 < expires_at <= self._now()
        return {"active": False} if has_expired else said

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 - the base class names it
                if self.path == OIDC:
                    self._respond((200, {}, json.dumps(fake.metadata).encode()))
                    return
                if not self.path.startswith("/.well-known/"):
                    fake.asked.append(Asked(self.path, {}, {}))
                self._respond((404, {}, b""))

            def do_POST(self) -> None:  # noqa: N802 - the base class names it
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                fields = parse_qs(body, strict_parsing=True)
                fake.asked.append(Asked(self.path, headers, fields))
                with fake.counted():
                    fake.open.wait(60)
                self._respond(fake.answer or fake.good(headers, fields["token"][0]))

            def _respond(self, answer: Answer) -> None:
                status, headers, body = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        return Handler

    def good(self, headers: dict[str, str], token: str) -> Answer:
        """Return what a server without faults responds."""
        pair = b64decode(headers["authorization"].removeprefix("Basic ")).decode()
        client_id, _, client_secret = pair.partition(":")
        if (unquote_plus(client_id), unquote_plus(client_secret)) != self._client:
            return 401, {"WWW-Authenticate": "Basic"}, b'{"error": "invalid_client"}'
        body = json.dumps(self.says(token)).encode()
        return 200, {"Content-Type": "application/json"}, body
