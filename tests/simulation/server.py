"""A server in memory that applies the real refresh rules and records what happened."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from tests.simulation.profile import Profile
from tests.support.provers import proof_of
from unexpired import Headers, Request, Response
from unexpired.token_response import NEGLIGIBLE_SKEW
from unexpired_server.sessions.refresh_tokens import RefreshTokenClaims, RefreshTokens
from unexpired_server.sessions.rules import (
    Decision,
    Session,
    SessionPolicy,
    decide,
    hash_attempt,
    refreshed,
    seconds_left,
)
from unexpired_server.sessions.sessions import REFUSALS as FAILURES
from unexpired_server.tokens.keys import Key, ring_of

API = "https://api.example"
NONCE_TTL = 300.0  # s
TOKENS = RefreshTokens(ring_of(Key("00" * 8, bytes(range(32)))))
REFUSALS = {decision: (failure.status, failure.code) for decision, failure in FAILURES.items()}


@dataclass
class SimulatedServer:
    """Issues, refreshes and revokes by the server's own rules; its clock is right.

    Attributes:
        rows: The sessions, as the database would store them.
        reused: The refresh token of each detected reuse.
        refreshes: The number of rotations.
        keys: The keys that sessions are bound to.
    """

    profile: Profile
    now: Callable[[], float]
    rows: dict[str, Session] = field(default_factory=dict)
    reused: list[RefreshTokenClaims] = field(default_factory=list)
    refreshes: int = 0
    keys: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.policy = SessionPolicy(
            self.profile.idle_ttl, self.profile.absolute_ttl, grace=self.profile.grace
        )

    def respond(self, request: Request) -> Response:
        """Respond to a request as the real server would."""
        match request.url.removeprefix(f"{API}/api/"):
            case "login":
                return self._login(request)
            case "refresh":
                presented = presented_in(request)
                refusal = self._proof_refusal(request, presented.session_id)
                return refusal or self._refresh(presented, attempt_in(request))
            case "logout":
                self.revoke(session_of(request) or "")
                return Response(204)
            case _:
                return self._verify(bearer_of(request))

    def revoke(self, session: str) -> None:
        """End a session."""
        row = self.rows[session]
        self.rows[session] = replace(row, revoked_at=row.revoked_at or self.now())

    def lose_steps(self, session: str, steps: int) -> None:
        """Restore the database from a backup that lacks the last steps of a session."""
        row = self.rows[session]
        lost = min(steps, row.counter)
        if row.revoked_at is None and lost:
            attempts = row.attempts[: max(len(row.attempts) - lost, 0)]
            self.rows[session] = replace(row, counter=row.counter - lost, attempts=attempts)

    def is_alive(self, session: str) -> bool:
        """Return whether the session goes on: by a refresh, or else as long as its token lives."""
        row = self.rows[session]
        left = seconds_left(row, self.now(), self.policy)
        if self.profile.simple:
            # Its end is known as exactly as the network's delay lets the client know it.
            left = row.created_at + self.profile.access_ttl - self.now() - NEGLIGIBLE_SKEW
        return row.revoked_at is None and left > 0

    def _login(self, request: Request) -> Response:
        now = self.now()
        row = Session(f"{len(self.rows):032x}", "ada", 0, now, now)
        self.rows[row.id] = row
        if "dpop" in request.headers:
            self.keys[row.id] = proof_of(request).header["jwk"]
        return self._issue(row)

    def _proof_refusal(self, request: Request, session: str) -> Response | None:
        if session not in self.keys:
            return None
        if "dpop" not in request.headers:
            return json_response(401, code="INVALID_PROOF")
        proof = proof_of(request)
        if proof.header["jwk"] != self.keys[session]:
            return json_response(401, code="REFRESH_INVALID")
        if self.now() - float(proof.claims.get("nonce", 0)) > NONCE_TTL:
            return json_response(401, code="USE_DPOP_NONCE", nonce=str(int(self.now())))
        return None

    def _refresh(self, presented: RefreshTokenClaims, attempt: str | None) -> Response:
        row, hashed, now = self.rows[presented.session_id], hash_attempt(attempt), self.now()
        decision = decide(row, presented.counter, hashed, now, self.policy)
        if decision is Decision.REUSE:
            self.reused.append(presented)
            self.revoke(row.id)
        if decision in REFUSALS:
            status, code = REFUSALS[decision]
            return json_response(status, code=code)
        if decision in {Decision.ROTATE, Decision.ROLL_FORWARD}:
            self.refreshes += 1
            row = self.rows[row.id] = refreshed(row, presented.counter, hashed, now, self.policy)
        return self._issue(row)

    def _issue(self, row: Session) -> Response:
        now, life = int(self.now()), self.profile.access_ttl
        claims = {"sid": row.id, "iat": now, "exp": now + life, "counter": row.counter}
        fields = {"accessToken": _unsigned(claims), "expiresIn": life, "user": {"id": row.user_id}}
        if not self.profile.simple:
            fields["refreshToken"] = _refresh_token(row.id, row.counter)
        if row.id in self.keys:
            fields |= {"bound": True, "nonce": str(now)}
        return json_response(200, **fields)

    def _verify(self, claims: dict[str, Any]) -> Response:
        if self.rows[claims["sid"]].revoked_at is not None:
            return json_response(401, code="SESSION_REVOKED")
        if self.now() >= claims["exp"]:
            return json_response(401, code="TOKEN_EXPIRED")
        return json_response(200, ok=True)


def json_response(status: int, **fields: Any) -> Response:
    """Return a JSON response."""
    return Response(status, Headers(), json.dumps(fields).encode())


def presented_in(request: Request) -> RefreshTokenClaims:
    """Return the claims of the refresh token in a request's body."""
    assert isinstance(request.body, bytes)
    return _presented(request.body)


def attempt_in(request: Request) -> str | None:
    """Return the attempt in a refresh's body, or None."""
    assert isinstance(request.body, bytes)
    attempt = json.loads(request.body).get("attempt")
    return attempt if isinstance(attempt, str) else None


def bearer_of(request: Request) -> dict[str, Any]:
    """Return the claims of the access token in a request's header."""
    return claims_of(request.headers["authorization"])


# The same few tokens are parsed again and again: with a cache the worlds run twice as fast.
@lru_cache(maxsize=256)
def _presented(body: bytes) -> RefreshTokenClaims:
    presented = TOKENS.read(json.loads(body)["refreshToken"])
    assert presented is not None
    return presented


@lru_cache(maxsize=256)
def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of an access token."""
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def session_of(request: Request) -> str | None:
    """Return the session whose token a request carries, in its header or its body."""
    if "authorization" in request.headers:
        return str(bearer_of(request)["sid"])
    is_login = request.url.endswith("/api/login")
    return None if is_login else presented_in(request).session_id


@lru_cache(maxsize=256)
def _refresh_token(session: str, counter: int) -> str:
    return TOKENS.write(Session(session, "ada", counter, 0, 0))


def _unsigned(claims: dict[str, Any]) -> str:
    # Unsigned: no token is forged in these worlds, and signing would take half of their time.
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{body}.AA"
