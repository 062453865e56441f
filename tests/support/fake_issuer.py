"""An issuer of another project, with discovery and RS256, which misbehaves as a test asks."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.support.threaded_server import QuietHandler, ThreadedServer

AUDIENCE = "https://orders.example"
OIDC = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"

Answer = tuple[int, dict[str, str], bytes]


class FakeIssuer(ThreadedServer):
    """An issuer on a free port of this machine, in a thread.

    Args:
        path: The path of its name, such as "/tenant".
        discovery: At which of the two addresses it describes itself.
        now: The clock, in Unix seconds.
    """

    def __init__(
        self, path: str = "", discovery: str = OIDC, now: Callable[[], float] = time.time
    ) -> None:
        self._now = now
        super().__init__(self._handler())
        self.url += path
        self.requests: Counter[str] = Counter()
        self.answers: dict[str, Answer] = {}
        """Answers by path in place of its own."""
        self.open = threading.Event()
        """Requests hang while it is not set."""
        self.open.set()
        self.discovery = f"{path.rstrip('/')}{OIDC}" if discovery == OIDC else f"{OAUTH}{path}"
        self.metadata: dict[str, Any] = {
            "issuer": self.url,
            "jwks_uri": self.url.rstrip("/") + "/keys",
        }
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.rotate("one")

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self.open.set()
        super().__exit__()

    def rotate(self, kid: str) -> None:
        """Sign with a new key, the only one that it publishes."""
        self.keys = {kid: rsa.generate_private_key(65537, 2048)}

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return an access token; claims and headers that are None are left out."""
        kid, key = next(iter(self.keys.items()))
        issued_at = int(self._now())
        payload = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "ada",
            "iat": issued_at,
            "exp": issued_at + 300,
            "scope": "orders:read",
            "azp": "web",
        } | claims
        return jwt.encode(
            {name: value for name, value in payload.items() if value is not None},
            key,
            "RS256",
            {"kid": kid, "typ": "JWT"} | (header or {}),
        )

    def jwks(self) -> bytes:
        """Return its JWK set."""
        keys = [
            {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid}
            for kid, key in self.keys.items()
        ]
        return json.dumps({"keys": [{**key, "key_ops": ["verify"]} for key in keys]}).encode()

    def answer(self, path: str) -> Answer:
        """Return the response to a request for a path."""
        if path in self.answers:
            return self.answers[path]
        if path == self.discovery:
            return 200, {}, json.dumps(self.metadata).encode()
        if path == urlsplit(str(self.metadata["jwks_uri"])).path:
            return 200, {}, self.jwks()
        return 404, {}, b"Not here."

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 - the base class names it
                issuer.requests[self.path] += 1
                issuer.open.wait(60)
                status, headers, body = issuer.answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        return Handler
