"""What the library's tests share: tokens, replies, a policy to feed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest

from tests.support.clock import START, FakeClock
from unexpired import AsyncClient, Client
from unexpired.messages import Headers, Request, Response
from unexpired.options import Options
from unexpired.policy import Policy
from unexpired.session import Session

NOW = START
API = "https://api.example"
KEY = "a key for tests, long enough for HS256 and never used elsewhere"


def make_token(now: float = NOW, life: float = 900, **claims: Any) -> str:
    """Return a real JWT that was issued now and lives so many seconds."""
    return jwt.encode({"iat": int(now), "exp": int(now + life), "sub": "1", **claims}, KEY)


def token_fields(n: int = 1, *, now: float = NOW, life: float = 900, **more: Any) -> dict[str, Any]:
    """Return the fields of a reply with the n-th tokens of a session."""
    return {
        "accessToken": make_token(now, life, jti=str(n)),
        "refreshToken": f"rt1.{n}",
        "tokenType": "Bearer",
        "expiresIn": life,
        "user": {"id": 1, "username": "ada"},
        **more,
    }


def reply(status: int, fields: Any = None, **headers: str) -> Response:
    """Return a JSON reply; header names are given with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, Headers(named), json.dumps(fields).encode() if fields else b"")


def error(status: int, code: str, **headers: str) -> Response:
    """Return one of the server's error replies."""
    return reply(status, {"error": "A sentence.", "code": code}, **headers)


def session_of(client: AsyncClient | Client) -> Session:
    """Return the session behind a client."""
    return client._manager.session  # noqa: SLF001 - what the public door does not show


@dataclass
class World:
    """A policy with everything that it sees."""

    clock: FakeClock = field(default_factory=FakeClock)
    session: Session = field(default_factory=lambda: Session(jitter=lambda: 1.0))
    options: Options = field(default_factory=lambda: Options(base_url=API))

    @property
    def policy(self) -> Policy:
        return Policy(self.session, self.options, self.clock)

    def sign_in(self, name: str = "s", n: int = 1, *, life: float = 900, **fields: Any) -> None:
        """Sign in, by feeding the policy the server's reply."""
        flow = self.policy.sign_in(name, "ada", "pw")
        next(flow)
        answer = reply(200, token_fields(n, now=self.clock.wall, life=life, **fields))
        with pytest.raises(StopIteration):
            flow.send(answer)

    def renew(self, answer: Response) -> None:
        """Renew the tokens, by feeding the policy the server's reply."""
        flow = self.policy.renew()
        next(flow)
        try:
            flow.send(answer)
        except StopIteration:
            return

    def get(self, url: str = f"{API}/api/notes", **headers: str) -> Request:
        return Request("GET", url, Headers(headers))

    def events(self) -> list[str]:
        return [name for name, _ in self.session.events]


@pytest.fixture
def world() -> World:
    return World()
