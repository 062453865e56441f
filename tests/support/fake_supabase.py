"""A project at Supabase, in memory: its sign-in and its data as their documentation has them.

Sources: https://github.com/supabase/auth/blob/master/openapi.yaml for the requests, responses and
the form of errors, https://supabase.com/docs/guides/auth/debugging/error-codes for the codes, and
https://docs.postgrest.org/en/stable/references/errors.html for those of the data.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from jwt.types import Options

from tests.support.clock import FakeClock
from tests.support.fake_server import KEY, json_response
from unexpired import Request, Response

PROJECT = "https://project.supabase.example"
API_KEY = "sb_publishable_of-the-project"
ADA = {"id": "7d0b5f0e-0000-4000-8000-000000000001", "email": "ada@example.org"}
LIFE = 3600


@dataclass
class FakeSupabase:
    """The project as an ``AsyncClient``'s transport.

    Attributes:
        clock: Its clock.
        sessions: The refresh token that each session has now.
        used: Refresh tokens that were exchanged.
        received: Every request so far.
    """

    clock: FakeClock
    sessions: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    received: list[Request] = field(default_factory=list)

    async def send(self, request: Request) -> Response:
        """Respond as the gateway does without a key, else as the server behind it."""
        self.received.append(request)
        if request.headers.get("apikey") != API_KEY:
            return json_response(401, {"message": "No API key found in request"})
        path = urlsplit(request.url).path
        routes: dict[str, Callable[[Request], Response]] = {
            "/auth/v1/token": self.token,
            "/auth/v1/logout": self.logout,
            "/auth/v1/user": self.user,
        }
        return routes.get(path, self.data)(request)

    def token(self, request: Request) -> Response:
        """Sign in or refresh, by the query's grant type and a body of JSON."""
        grant, fields = _query(request).get("grant_type"), _fields(request)
        if grant == "password":
            if (fields.get("email"), fields.get("password")) != (ADA["email"], "pw"):
                return _error(400, "invalid_credentials", "Invalid login credentials")
            return self._issue(f"s{len(self.sessions) + 1}")
        if grant == "refresh_token":
            return self._refresh(str(fields.get("refresh_token")))
        return _error(400, "invalid_credentials", "unsupported_grant_type")

    def _refresh(self, token: str) -> Response:
        if token in self.used:
            self.sessions.pop(token.partition(".")[0], None)
            return _error(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
        for session, current in self.sessions.items():
            if current == token:
                self.used.add(token)
                return self._issue(session)
        return _error(400, "refresh_token_not_found", "Invalid Refresh Token: Not Found")

    def _issue(self, session: str) -> Response:
        now = int(self.clock())
        claims = {"sub": ADA["id"], "session_id": session, "iat": now, "exp": now + LIFE}
        self.sessions[session] = f"{session}.{len(self.used)}"
        return json_response(
            200,
            {
                "access_token": jwt.encode(claims, KEY),
                "token_type": "bearer",
                "expires_in": LIFE,
                "expires_at": now + LIFE,
                "refresh_token": self.sessions[session],
                "user": ADA,
            },
        )

    def logout(self, request: Request) -> Response:
        """End the session of the access token; by default all sessions of its user."""
        session = self._session_of(request)
        if isinstance(session, Response):
            return session
        if _query(request).get("scope", "global") == "local":
            del self.sessions[session]
        else:
            self.sessions.clear()
        return Response(204)

    def user(self, request: Request) -> Response:
        """Return the user of the access token."""
        session = self._session_of(request)
        return session if isinstance(session, Response) else json_response(200, ADA)

    def _session_of(self, request: Request) -> str | Response:
        claims = self._claims(request)
        if claims is None:
            return _error(403, "bad_jwt", "invalid JWT: token is expired")
        if claims["session_id"] not in self.sessions:
            return _error(403, "session_not_found", "Session does not exist")
        return str(claims["session_id"])

    def data(self, request: Request) -> Response:
        """Return rows, as PostgREST does, which knows tokens but no sessions."""
        if self._claims(request) is None:
            return json_response(401, {"code": "PGRST303", "message": "JWT expired"})
        return json_response(200, {"rows": []})

    def _claims(self, request: Request) -> dict[str, Any] | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        options: Options = {"verify_exp": False, "verify_iat": False}  # By its own clock.
        claims = jwt.decode(token, KEY, algorithms=["HS256"], options=options)
        return claims if claims["exp"] > self.clock() else None


def _query(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


def _fields(request: Request) -> dict[str, Any]:
    assert request.headers["content-type"] == "application/json"
    assert isinstance(request.body, bytes)
    fields: dict[str, Any] = json.loads(request.body)
    return fields


def _error(status: int, code: str, message: str) -> Response:
    return json_response(status, {"code": status, "error_code": code, "msg": message})
