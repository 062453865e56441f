"""Access tokens: short-lived JWTs, verified without a database query (RFC 9068)."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from unexpired_server.errors import TokenError, TokenExpired, TokenInvalid
from unexpired_server.scopes import split_scopes
from unexpired_server.settings import Settings
from unexpired_server.tokens.jws import CompactJWS, parse_compact
from unexpired_server.tokens.keys import KeyRing, Keys, VerifyingKey
from unexpired_server.tokens.read_only import ReadOnlyDict, read_only

TYPE = "at+jwt"
LATEST = 253_402_300_799
"""The last second of the year 9999; ``datetime`` can hold nothing later."""

CACHE_SIZE = 10_000
"""How many verified tokens are cached: 10 MB at most."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The user and the session of a verified token.

    Attributes:
        user_id: The ``sub``.
        session_id: The ``sid``.
        scopes: The ``scope``: what the token's user may do (RFC 9068, section 2.2.3).
        claims: All claims. They cannot be changed, as tokens are cached; lists are tuples.
    """

    user_id: str
    session_id: str
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=ReadOnlyDict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new access token and its lifetime, in seconds."""

    token: str
    expires_in: int

    def __repr__(self) -> str:
        return f"IssuedToken(expires_in={self.expires_in})"


@dataclass(frozen=True, slots=True)
class ExpectedClaims:
    """What a token must say to be accepted.

    Attributes:
        issuer: The exact ``iss``.
        audience: The exact ``aud``.
        longest_life: The longest lifetime, in seconds.
        leeway: Clock tolerance, in seconds.
    """

    issuer: str
    audience: str
    longest_life: float
    leeway: float


@dataclass(frozen=True, slots=True)
class _VerifiedToken:
    """A token whose signature and claims are valid; only the time is still to be checked."""

    claims: Claims
    key: VerifyingKey
    starts_at: float
    expires_at: float


class UnknownKey(TokenInvalid):
    """The token names a key that the verifier does not have, or another algorithm for it."""


class Verifier:
    """Verifies access tokens.

    Verified tokens are cached with their key, so that a client's next request costs one look-up.
    The time, and whether the key is still on the ring, are checked every time.

    Args:
        keys: The only keys that may verify.
        expected: What a token must say.
        now: The clock, in Unix seconds.
    """

    def __init__(self, keys: Keys, expected: ExpectedClaims, now: Callable[[], float]) -> None:
        self._keys = keys
        self._expected = expected
        self._now = now
        self._cache: OrderedDict[str, _VerifiedToken] = OrderedDict()

    def verify(self, token: str) -> Claims:
        """Verify a token.

        Raises:
            UnknownKey: It names a key that is not there.
            TokenInvalid: It is malformed, not ours, or for another audience.
            TokenError: It is authentic, but not valid yet.
            TokenExpired: It is authentic, and has expired.
        """
        known = self._cache.get(token)
        if known is None or self._keys.find(known.key.kid, known.key.alg) is not known.key:
            known = self._authenticate(token)
            self._check_time(known)
            self._store(token, known)
        else:
            self._cache.move_to_end(token)
            self._check_time(known)
        return known.claims

    def _store(self, token: str, verified: _VerifiedToken) -> None:
        # Only authentic tokens get here, so forged ones cannot evict others.
        self._cache[token] = verified
        if len(self._cache) > CACHE_SIZE:
            self._cache.popitem(last=False)

    def _authenticate(self, token: str) -> _VerifiedToken:
        compact = parse_compact(token)
        key = self._signer(compact)
        # Claims are read after the signature: a token that is expired and tampered is tampered.
        payload = compact.payload
        # RFC 7519 lets `aud` be a list; ours is exactly one string.
        expected = (self._expected.issuer, self._expected.audience)
        if (payload.get("iss"), payload.get("aud")) != expected:
            raise TokenInvalid
        claims = Claims(
            user_id=_text(payload, "sub"),
            session_id=_text(payload, "sid"),
            scopes=_scopes(payload),
            claims=read_only(payload),
        )
        _text(payload, "jti")
        issued_at, expires_at = _time(payload, "iat"), _time(payload, "exp")
        not_before = _time(payload, "nbf") if "nbf" in payload else issued_at
        if not 0 <= expires_at - issued_at <= self._expected.longest_life:
            raise TokenInvalid
        return _VerifiedToken(claims, key, max(issued_at, not_before), expires_at)

    def _signer(self, compact: CompactJWS) -> VerifyingKey:
        header = compact.header
        if header.get("typ") != TYPE:
            raise TokenInvalid
        key = self._keys.find(header.get("kid"), header.get("alg"))
        if key is None:
            raise UnknownKey
        if not key.verifies(compact.message, compact.signature):
            raise TokenInvalid
        return key

    def _check_time(self, verified: _VerifiedToken) -> None:
        now, leeway = self._now(), self._expected.leeway
        if verified.starts_at > now + leeway:
            raise TokenError("The access token is not valid yet.")
        if now >= verified.expires_at + leeway:
            raise TokenExpired(verified.expires_at)


class AccessTokens(Verifier):
    """Issues access tokens, and verifies them.

    Args:
        ring: The keys.
        settings: Issuer, audience, lifetime and leeway.
        now: The clock, in Unix seconds.
    """

    def __init__(self, ring: KeyRing, settings: Settings, now: Callable[[], float]) -> None:
        expected = ExpectedClaims(
            settings.issuer, settings.audience, settings.access_ttl, settings.leeway
        )
        super().__init__(ring, expected, now)
        self._ring = ring
        self._ttl = settings.access_ttl
        self._client_id = settings.client_id

    def issue(self, user_id: str, session_id: str, session_left: float) -> IssuedToken:
        """Issue a token for a session.

        Args:
            user_id: Becomes ``sub``.
            session_id: Becomes ``sid``.
            session_left: Seconds until the session ends; the token does not outlive it.
        """
        issued_at = int(self._now())
        lifetime = max(1, min(self._ttl, int(session_left)))
        claims = {
            "iss": self._expected.issuer,
            "aud": self._expected.audience,
            "sub": user_id,
            "sid": session_id,
            "client_id": self._client_id,
            "iat": issued_at,
            "exp": issued_at + lifetime,
            "jti": secrets.token_urlsafe(12),
        }
        return IssuedToken(self._ring.active.sign(claims, TYPE), lifetime)


def _text(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise TokenInvalid
    return value


def _scopes(payload: dict[str, Any]) -> frozenset[str]:
    text = payload.get("scope", "")
    if not isinstance(text, str):
        raise TokenInvalid
    return split_scopes(text)


def _time(payload: dict[str, Any], name: str) -> float:
    value = payload.get(name)
    # A bool is an int to Python; NaN and infinity fail the comparison.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise TokenInvalid
    return value
