"""Access tokens: short-lived JWTs, verified without a database query (RFC 9068)."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from unexpired_server.errors import TokenError, TokenExpired, TokenInvalid
from unexpired_server.scopes import join_scopes, split_scopes
from unexpired_server.settings import Settings
from unexpired_server.tokens import base64url
from unexpired_server.tokens.further_claims import check_further
from unexpired_server.tokens.issuer import ExpectedIssuer
from unexpired_server.tokens.jws import (
    KNOWN_HEADER_LENGTH,
    KNOWN_HEADERS,
    MAXIMUM_LENGTH,
    CompactJWS,
    Header,
    parse_compact,
)
from unexpired_server.tokens.keys import KeyRing, Keys, VerifyingKey
from unexpired_server.tokens.read_only import ReadOnlyDict, read_only

TYPE = "at+jwt"
LATEST = 253_402_300_799
"""The last second of the year 9999; ``datetime`` can hold nothing later."""

CACHE_SIZE = 10_000
"""How many verified tokens are cached: 10 MB at most."""

NUMBERS = frozenset({int, float})
NO_TIME = float("nan")

NO_SCOPES: frozenset[str] = frozenset()
NO_CLAIMS: Mapping[str, Any] = ReadOnlyDict()

THUMBPRINT_BYTES = 32
"""A key's thumbprint is made with SHA-256 (RFC 9449, section 6.1)."""

ANY_THUMBPRINT = base64url.encode(bytes(THUMBPRINT_BYTES))


@dataclass(frozen=True, slots=True)
class Claims:
    """The user and the session of a verified token.

    Attributes:
        user_id: The ``sub``.
        session_id: The ``sid``.
        scopes: The ``scope``: what the token's user may do (RFC 9068, section 2.2.3).
        claims: All claims. They cannot be changed, as tokens are cached; lists are tuples.
        jkt: The thumbprint of the key that each request with the token must prove to have (RFC
            9449, section 6.1); None for a bearer token.
    """

    user_id: str
    session_id: str
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=ReadOnlyDict, repr=False, compare=False)
    jkt: str | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new access token.

    Attributes:
        token: The token.
        expires_in: Its lifetime, in seconds.
        is_bound: Whether it is bound to a key, so that it is no bearer token.
    """

    token: str
    expires_in: int
    is_bound: bool = False

    def __repr__(self) -> str:
        return f"IssuedToken(expires_in={self.expires_in})"


@dataclass(frozen=True, slots=True)
class ExpectedClaims:
    """What a token must say to be accepted.

    Attributes:
        issuer: The exact ``iss``.
        audience: The ``aud``, or one of several where the rules allow a list.
        longest_life: The longest lifetime, in seconds.
        leeway: Clock tolerance, in seconds.
    """

    issuer: str
    audience: str
    longest_life: float
    leeway: float


@dataclass(slots=True)
class ReadToken:
    """A token whose claims are valid; only the time is still to be checked.

    Attributes:
        claims: The claims.
        starts_at: From when it is valid, in Unix seconds.
        expires_at: The ``exp``.
    """

    claims: Claims
    starts_at: float
    expires_at: float


class TokenRules(Protocol):
    """What makes a signed text an access token, other than the values that are expected."""

    @property
    def maximum_length(self) -> int:
        """Of a token, in characters; an unbounded parser reads headers of megabytes."""
        ...

    @property
    def cache_size(self) -> int:
        """How many verified tokens are cached."""
        ...

    @property
    def needs_key_id(self) -> bool:
        """Whether a token must name its key."""
        ...

    def accepts(self, typ: object) -> bool:
        """Return whether a token of this ``typ`` may be an access token."""
        ...

    def read(self, compact: CompactJWS, expected: ExpectedClaims, now: float) -> ReadToken:
        """Read the claims of a token whose signature and issuer are right.

        Raises:
            TokenInvalid: They are not those of an access token for this audience.
        """
        ...


@dataclass(frozen=True)
class OwnTokens:
    """The rules for tokens of our own, which are exactly as we make them."""

    maximum_length: int = MAXIMUM_LENGTH
    cache_size: int = CACHE_SIZE
    needs_key_id: bool = True

    def accepts(self, typ: object) -> bool:
        """Return whether this is the type of our access tokens."""
        return typ == TYPE

    def read(self, compact: CompactJWS, expected: ExpectedClaims, _now: float) -> ReadToken:
        """Read the claims of one of our tokens.

        Raises:
            TokenInvalid: It is for another audience, or lacks a claim.
        """
        payload = compact.payload
        # RFC 7519 lets `aud` be a list; ours is exactly one string.
        if payload.get("aud") != expected.audience:
            raise TokenInvalid
        claims = Claims(  # By position: names take 0.2 µs.
            text_of(payload, "sub"),
            text_of(payload, "sid"),
            _scopes(payload) if "scope" in payload else NO_SCOPES,
            read_only(payload),
            bound_key(payload),
        )
        text_of(payload, "jti")
        issued_at, expires_at = time_of(payload, "iat"), time_of(payload, "exp")
        not_before = time_of(payload, "nbf") if "nbf" in payload else issued_at
        if not 0 <= expires_at - issued_at <= expected.longest_life:
            raise TokenInvalid
        return ReadToken(claims, max(issued_at, not_before), expires_at)


OWN_TOKENS = OwnTokens()


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
        rules: What makes a text an access token.
    """

    def __init__(
        self,
        keys: Keys,
        expected: ExpectedClaims,
        now: Callable[[], float],
        rules: TokenRules = OWN_TOKENS,
    ) -> None:
        self._keys = keys
        self._expected = expected
        self._now = now
        self._rules = rules
        self._cache: OrderedDict[str, tuple[VerifyingKey, ReadToken]] = OrderedDict()
        self._headers: dict[str, Header] = {}
        self._issuer = ExpectedIssuer(expected.issuer)

    def verify(self, token: str) -> Claims:
        """Verify a token.

        Raises:
            UnknownKey: It names a key that is not there.
            TokenInvalid: It is malformed, not ours, or for another audience.
            TokenError: It is authentic, but not valid yet.
            TokenExpired: It is authentic, and has expired.
        """
        cached = self._cache.get(token)
        if cached is None or self._keys.find(cached[0].kid, cached[0].alg) is not cached[0]:
            now = self._now()
            key, known = self._authenticate(token, now)
            check_time(known, now, self._expected.leeway)
            self._store(token, key, known)
            return known.claims
        try:  # noqa: SIM105 - `suppress` takes a quarter of the time of a cached token
            self._cache.move_to_end(token)
        except KeyError:  # Another thread may have removed it.
            pass
        check_time(cached[1], self._now(), self._expected.leeway)
        return cached[1].claims

    def _store(self, token: str, key: VerifyingKey, known: ReadToken) -> None:
        # Only authentic tokens get here, so forged ones cannot evict others.
        self._cache[token] = key, known
        if len(self._cache) > self._rules.cache_size:
            self._cache.popitem(last=False)

    def _authenticate(self, token: str, now: float) -> tuple[VerifyingKey, ReadToken]:
        compact = parse_compact(token, self._rules.maximum_length, self._headers)
        key = self._signer(compact)
        if compact.segment not in self._headers:
            self._note_header(compact.segment, compact.header)
        # Claims are read after the signature: a token that is expired and tampered is tampered.
        if not self._issuer.is_named(compact.payload.get("iss")):
            raise TokenInvalid
        try:
            return key, self._rules.read(compact, self._expected, now)
        except RecursionError:
            raise TokenInvalid from None

    def _note_header(self, segment: str, header: Header) -> None:
        # Only of authentic tokens, so forged ones cannot displace it.
        if len(segment) > KNOWN_HEADER_LENGTH:
            return
        if len(self._headers) >= KNOWN_HEADERS:
            self._headers.clear()
        self._headers[segment] = header

    def _signer(self, compact: CompactJWS) -> VerifyingKey:
        header = compact.header
        if not self._rules.accepts(header.get("typ")):
            raise TokenInvalid
        kid = header.get("kid")
        key = self._keys.find(kid, header.get("alg"))
        if key is None or (self._rules.needs_key_id and not kid):
            raise UnknownKey
        if not key.verifies(compact.message, compact.signature):
            raise TokenInvalid
        return key


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
        self._binds = settings.dpop == "all"

    def issue(  # noqa: PLR0913 - a token says all of these
        self,
        user_id: str,
        session_id: str,
        session_left: float,
        scopes: Collection[str] = (),
        further: Mapping[str, Any] = NO_CLAIMS,
        *,
        jkt: str | None = None,
    ) -> IssuedToken:
        """Issue a token for a session.

        Args:
            user_id: Becomes ``sub``.
            session_id: Becomes ``sid``.
            session_left: Seconds until the session ends; the token does not outlive it.
            scopes: Become ``scope``, where there are any (RFC 9068, section 2.2.3).
            further: Claims of the application's, which ``check`` accepts.
            jkt: The thumbprint of the session's key; becomes ``cnf`` where each call must prove
                to have the key (RFC 9449, section 6.1).
        """
        issued_at = int(self._now())
        lifetime = max(1, min(self._ttl, int(session_left)))
        claims = {
            **further,
            "iss": self._expected.issuer,
            "aud": self._expected.audience,
            "sub": user_id,
            "sid": session_id,
            "client_id": self._client_id,
            "iat": issued_at,
            "exp": issued_at + lifetime,
            "jti": secrets.token_urlsafe(12),
        }
        if scopes:
            claims["scope"] = join_scopes(scopes)
        is_bound = bool(jkt) and self._binds
        if is_bound:
            claims["cnf"] = {"jkt": jkt}
        return IssuedToken(self._ring.active.sign(claims, TYPE), lifetime, is_bound)

    def check(self, user_id: str, scopes: Collection[str], further: Mapping[str, Any]) -> None:
        """Check that a token can hold some claims, which no message quotes.

        Raises:
            TypeError: They are no mapping with names of text, or JSON cannot express a value.
            ValueError: A name is reserved, a value is not JSON, or the token would be longer than
                verifiers accept.
        """
        check_further(further)
        issued = self.issue(user_id, "0" * 32, self._ttl, scopes, further, jkt=ANY_THUMBPRINT)
        if len(issued.token) > MAXIMUM_LENGTH:
            raise ValueError(
                f"the access token would have {len(issued.token)} characters, and at most "
                f"{MAXIMUM_LENGTH} are accepted: use fewer or shorter claims and scopes"
            )


def check_time(token: ReadToken, now: float, leeway: float) -> None:
    """Check that a token is valid now.

    Args:
        token: The token.
        now: The time, in Unix seconds.
        leeway: How far clocks may differ, in seconds.

    Raises:
        TokenError: It is not valid yet.
        TokenExpired: It has expired.
    """
    if token.starts_at > now + leeway:
        raise TokenError("The access token is not valid yet.")
    if now >= token.expires_at + leeway:
        raise TokenExpired(token.expires_at)


def text_of(payload: dict[str, Any], name: str) -> str:
    """Return a claim that must be a text.

    Raises:
        TokenInvalid: It is missing, empty or something else.
    """
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise TokenInvalid
    return value


def bound_key(payload: dict[str, Any]) -> str | None:
    """Return the thumbprint of the key that a token is bound to; None for a bearer token.

    Raises:
        TokenInvalid: The token is bound in another way, such as to a certificate (RFC 8705), which
            nothing here verifies. If that were ignored, a thief could use the token.
    """
    if "cnf" not in payload:
        return None
    bound = payload["cnf"]
    jkt = bound.get("jkt") if isinstance(bound, dict) and len(bound) == 1 else None
    if not isinstance(jkt, str) or not _is_thumbprint(jkt):
        raise TokenInvalid
    return jkt


def _is_thumbprint(text: str) -> bool:
    try:
        return len(base64url.decode(text)) == THUMBPRINT_BYTES
    except ValueError:
        return False


def _scopes(payload: dict[str, Any]) -> frozenset[str]:
    text = payload["scope"]
    if not isinstance(text, str):
        raise TokenInvalid
    return split_scopes(text)


def time_of(payload: dict[str, Any], name: str) -> float:
    """Return a claim that must be a time, in Unix seconds.

    Raises:
        TokenInvalid: It is missing, or no time.
    """
    value: float = payload.get(name, NO_TIME)
    # By the exact type, as a bool is an int to Python; NaN and infinity fail the comparison.
    if type(value) not in NUMBERS or not 0 <= value <= LATEST:
        raise TokenInvalid
    return value
