"""A server in memory for the client's tests, whose responses a test can replace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt

from tests.support.clock import START, FakeClock
from unexpired import Headers, Request, Response

API = "https://api.example"
KEY = "a key for tests, long enough for HS256 and never used elsewhere"
LIFE = 900.0

Respond = Callable[[Request], Response]


def make_token(now: float = START, life: float = LIFE, **claims: Any) -> str:
    """Return a real JWT that was issued now and lives ``life`` seconds."""
    return jwt.encode({"iat": int(now), "exp": int(now + life), "sub": "1", **claims}, KEY)


def token_fields(
    n: int = 1, *, now: float = START, life: float = LIFE, **more: Any
) -> dict[str, Any]:
    """Return the fields of the response with the n-th token pair of a session."""
    return {
        "accessToken": make_token(now, life, jti=str(n)),
        "refreshToken": f"rt1.{n}",
        "tokenType": "Bearer",
        "expiresIn": life,
        "user": {"id": 1, "username": "ada"},
        **more,
    }


def json_response(status: int, fields: Any = None, **headers: str) -> Response:
    """Return a JSON response; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, Headers(named), json.dumps(fields).encode() if fields else b"")


def error_response(status: int, code: str, **headers: str) -> Response:
    """Return an error response as the server sends it."""
    return json_response(status, {"error": "A message.", "code": code}, **headers)


@dataclass
class FakeServer:
    """Issues token pairs, and accepts the newest access token only.

    Attributes:
        clock: The server's.
        generation: The number of the newest token pair.
        has_refresh: Whether it issues refresh tokens.
        responses: What to respond with instead, by path.
        received: Every request so far.
    """

    clock: FakeClock
    generation: int = 0
    has_refresh: bool = True
    responses: dict[str, Respond] = field(default_factory=dict)
    received: list[Request] = field(default_factory=list)

    def respond(self, request: Request) -> Response:
        """Respond to a request."""
        path = request.url.removeprefix(API)
        usual: dict[str, Respond] = {
            "/api/login": self.issue,
            "/api/refresh": self.issue,
            "/api/logout": lambda _: Response(204),
        }
        return {**usual, **self.responses}.get(path, self.check)(request)

    def issue(self, _request: Request) -> Response:
        """Respond with the next token pair."""
        self.generation += 1
        fields = token_fields(self.generation, now=self.clock.wall)
        return json_response(200, fields if self.has_refresh else {**fields, "refreshToken": None})

    def check(self, request: Request) -> Response:
        """Respond to a call as the API does: 401 unless it bears the newest token."""
        token = token_fields(self.generation, now=self.clock.wall)["accessToken"]
        is_good = request.headers.get("authorization") == f"Bearer {token}"
        return json_response(200, {"ok": True}) if is_good else error_response(401, "TOKEN_EXPIRED")

    def count(self, path: str) -> int:
        """Return how many requests for a path arrived."""
        return sum(request.url == f"{API}{path}" for request in self.received)


@dataclass
class AsyncFakeServer(FakeServer):
    """The server as an ``AsyncClient``'s transport.

    Attributes:
        gate: Refresh requests wait until the test sets it.
    """

    gate: asyncio.Event | None = None

    async def send(self, request: Request) -> Response:
        """Receive a request; let other tasks run; respond."""
        self.received.append(request)
        await asyncio.sleep(0)
        if self.gate is not None and request.url.endswith("/api/refresh"):
            await self.gate.wait()
        return self.respond(request)


@dataclass
class SyncFakeServer(FakeServer):
    """The server as a ``Client``'s transport.

    Attributes:
        timeouts: The timeout of every request so far.
    """

    timeouts: list[float | None] = field(default_factory=list)

    def send(self, request: Request, timeout: float | None) -> Response:
        """Receive a request and respond."""
        self.received.append(request)
        self.timeouts.append(timeout)
        return self.respond(request)
