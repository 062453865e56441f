"""Access tokens: short-lived JWTs that are verified without asking the database (RFC 9068)."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from server.compact import Compact, take_apart
from server.errors import TokenError, TokenExpired, TokenInvalid
from server.keys import KeyRing
from server.settings import Settings

TYPE = "at+jwt"
LATEST = 253_402_300_799
"""The last second of the year 9999: nothing later can be written as a date."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Who is asking, from a token that was verified.

    Attributes:
        user_id: The `sub`.
        session_id: The `sid`.
    """

    user_id: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh access token and how long it lives, in seconds."""

    token: str
    expires_in: int

    def __repr__(self) -> str:
        return f"Issued(expires_in={self.expires_in})"


class AccessTokens:
    """Issues and verifies access tokens.

    Args:
        ring: The keys.
        settings: Issuer, audience, lifetime and leeway.
        now: The clock, in Unix seconds.
    """

    def __init__(self, ring: KeyRing, settings: Settings, now: Callable[[], float]) -> None:
        self._ring = ring
        self._issuer = settings.issuer
        self._audience = settings.audience
        self._ttl = settings.access_ttl
        self._leeway = settings.leeway
        self._now = now

    def issue(self, user_id: str, session_id: str, session_left: float) -> Issued:
        """Issue a token for a session.

        Args:
            user_id: Becomes `sub`.
            session_id: Becomes `sid`.
            session_left: Seconds that the session still has; the token does not outlive it.
        """
        issued_at = int(self._now())
        lifetime = max(1, min(self._ttl, int(session_left)))
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": user_id,
            "sid": session_id,
            "iat": issued_at,
            "exp": issued_at + lifetime,
            "jti": secrets.token_urlsafe(12),
        }
        return Issued(self._ring.active.sign(claims, TYPE), lifetime)

    def verify(self, token: str) -> Claims:
        """Verify a token.

        Raises:
            TokenInvalid: It is malformed, not ours, or not meant for here.
            TokenError: It is ours, but not valid yet.
            TokenExpired: It is ours, and its time has passed.
        """
        compact = take_apart(token)
        self._check_signature(compact)
        # Only what is signed is worth reading: expired and tampered is tampered.
        return self._check_claims(compact.payload)

    def _check_signature(self, compact: Compact) -> None:
        header = compact.header
        key = self._ring.find(header.get("kid"))
        if key is None or header.get("alg") != key.alg or header.get("typ") != TYPE:
            raise TokenInvalid
        if not key.verifies(compact.message, compact.signature):
            raise TokenInvalid

    def _check_claims(self, payload: dict[str, Any]) -> Claims:
        # RFC 7519 lets `aud` be a list; ours is one string, and exactly ours.
        if payload.get("iss") != self._issuer or payload.get("aud") != self._audience:
            raise TokenInvalid
        claims = Claims(user_id=_text(payload, "sub"), session_id=_text(payload, "sid"))
        _text(payload, "jti")
        self._check_times(payload)
        return claims

    def _check_times(self, payload: dict[str, Any]) -> None:
        issued_at, expires_at = _time(payload, "iat"), _time(payload, "exp")
        not_before = _time(payload, "nbf") if "nbf" in payload else issued_at
        if not 0 <= expires_at - issued_at <= self._ttl:
            raise TokenInvalid
        now = self._now()
        if max(issued_at, not_before) > now + self._leeway:
            raise TokenError("The access token is not valid yet.")
        if now >= expires_at + self._leeway:
            raise TokenExpired(expires_at)


def _text(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise TokenInvalid
    return value


def _time(payload: dict[str, Any], name: str) -> float:
    value = payload.get(name)
    # A bool is an int to Python; NaN and infinity fail the comparison.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise TokenInvalid
    return value
