"""Parsing the server's responses to sign-in and refresh: codes, tokens, ``Retry-After``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from unexpired.claims import MAX_LENGTH, claims, instant
from unexpired.errors import (
    BadCredentials,
    BadReply,
    RateLimited,
    UnexpiredError,
    Unreachable,
)
from unexpired.messages import Response
from unexpired.outside_text import loads
from unexpired.proofs import BEARER, DPOP, nonce_in

# The codes by which the server says that the session is dead. Nothing else ever ends a session.
REFUSALS = frozenset({"REFRESH_EXPIRED", "REFRESH_INVALID", "REFRESH_REUSED", "SESSION_REVOKED"})
ENDINGS = frozenset({"NO_TOKEN", "SESSION_REVOKED", "INVALID_TOKEN"})
EXPIRED = "TOKEN_EXPIRED"
SUPERSEDED = "REFRESH_SUPERSEDED"
BAD_CREDENTIALS = "BAD_CREDENTIALS"
SECOND_STEP = "SECOND_STEP_REQUIRED"

# The end of the year 9999, in Unix seconds: no instant is later, and no lifetime is longer. It is
# the last that dates can say (RFC 3339, section 5.6), and far from where sums of floats overflow.
MAX_SECONDS = 253_402_300_799
NEGLIGIBLE_SKEW = 5.0  # s. Less than this is the network's delay and the whole seconds of `iat`.
# RFC 6749, appendix A: a token is printable ASCII. fetch would strip a space at an end.
_TOKEN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

MAX_RETRY_AFTER = 3600.0  # s. A server's surplus zero must not lock people out for a day.

_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
_ERROR = re.compile(r"[a-z0-9_.-]{1,64}")  # Of those in RFC 6749, appendix A.7, what codes use.


def finite_seconds(value: object) -> float | None:
    """Return an instant or a lifetime from outside, in seconds, or None if it is out of range.

    Whatever is stored or waited for is in this range: finite, from 0 to ``MAX_SECONDS``.

    Args:
        value: What JSON has brought: of any type, and a number of any size.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= MAX_SECONDS else None  # NaN is neither.


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """The tokens in a response, with their times by this device's clock.

    Attributes:
        access_token: The bearer token.
        refresh_token: The token to refresh with; None in simple mode, or if it stays the same.
        expires_at: When the access token expires, in Unix seconds of this device; None if unknown.
        lifetime: How long the access token lives in total, in seconds; None if unknown.
        skew: The server's clock minus this device's, in seconds.
        user: The user, if the response has one.
        is_bound: Whether the session is bound to the key that the request was signed with.
        nonce: What the next proof of a bound session must sign; None if the server gave nothing.
        scheme: How the access token is sent: ``Bearer``, or ``DPoP`` with a proof for each call.
        in_cookie: Whether the refresh token is in a cookie, which the page does not see.
        id_token: The provider's statement of who signed in (OpenID Connect); None without one.
    """

    access_token: str
    refresh_token: str | None
    expires_at: float | None
    lifetime: float | None
    skew: float = 0.0
    user: Mapping[str, Any] | None = None
    is_bound: bool = False
    nonce: str | None = None
    scheme: str = BEARER
    in_cookie: bool = False
    id_token: str | None = None

    def unbound(self) -> Tokens:
        """Return these tokens as those of a session without a key."""
        return replace(self, is_bound=False, nonce=None, scheme=BEARER) if self.is_bound else self

    def __repr__(self) -> str:
        return f"<Tokens for {self.lifetime} s>"


def parse_token_response(
    response: Response, *, requested_at: float, received_at: float
) -> Tokens | None:
    """Parse a token response (RFC 6749, section 5.1); return None without a usable access token.

    Args:
        response: The response to a sign-in or a refresh.
        requested_at: When the request was sent, in Unix seconds of this device.
        received_at: When the response came, in the same.
    """
    access, refresh = response.fields.get("accessToken"), response.fields.get("refreshToken")
    refresh = refresh if isinstance(refresh, str) and refresh else None
    if not response.is_success or not isinstance(access, str) or not is_sendable(access):
        return None
    if refresh is not None and not is_sendable(refresh):
        return None
    end, lifetime, skew = _times(
        access, response.fields.get("expiresIn"), (requested_at + received_at) / 2, received_at
    )
    tokens = Tokens(
        access,
        refresh,
        expires_at=end,
        lifetime=lifetime,
        skew=skew,
        user=with_scopes(_user(response.fields.get("user")), scopes_in(access)),
        id_token=_id_token(response.fields.get("idToken")),
    )
    return _bound(tokens, response)


def _bound(tokens: Tokens, response: Response) -> Tokens:
    """Return the tokens with what the response says of the key that they are bound to."""
    scheme = str(response.fields.get("tokenType") or "")
    is_dpop = scheme.lower() == DPOP.lower()  # RFC 9449, section 5; RFC 6749, section 7.1.
    if not is_dpop and response.fields.get("bound") is not True:
        return tokens
    scheme = DPOP if is_dpop else BEARER
    return replace(tokens, is_bound=True, nonce=nonce_in(response), scheme=scheme)


def is_sendable(token: str) -> bool:
    """Return whether a header can carry the token; one with a line break, say, is damaged."""
    return len(token) <= MAX_LENGTH and _TOKEN.fullmatch(token) is not None


def _user(value: object) -> Mapping[str, Any] | None:
    """Return the user if it is an object that can be stored and read again."""
    if not isinstance(value, dict) or not value:
        return None
    try:
        loads(json.dumps(value), finite=True)
    except ValueError:  # It has NaN, which would make the record unreadable.
        return None
    return value


def _id_token(value: object) -> str | None:
    return value if isinstance(value, str) and is_sendable(value) else None


def with_scopes(
    user: Mapping[str, Any] | None, scopes: list[str] | None
) -> Mapping[str, Any] | None:
    """Return the user with the token's scopes, unless the server lists the user's own."""
    if user is None or scopes is None or "scopes" in user:
        return user
    return {**user, "scopes": scopes}


def scopes_in(token: str) -> list[str] | None:
    """Return the scopes of a JWT (RFC 9068, section 2.2.3), sorted; None if it names none."""
    try:
        scope = claims(token).get("scope")
    except ValueError:
        return None
    return sorted(set(scope.split())) if isinstance(scope, str) else None


def user_after_refresh(new: Tokens, known: Tokens) -> Mapping[str, Any] | None:
    """Return the user after a refresh, whose response may have one; else the scopes may change.

    A token without ``scope`` takes the scopes away only if the token before it had some: then the
    server writes them into its tokens.

    Args:
        new: The tokens in the response.
        known: The tokens that they replace.
    """
    if new.user is not None or known.user is None:
        return new.user
    scopes = scopes_in(new.access_token)
    if scopes is None and scopes_in(known.access_token) is not None:
        scopes = []
    return known.user if scopes is None else {**known.user, "scopes": scopes}


def _times(
    token: str, expires_in: object, midpoint: float, received_at: float
) -> tuple[float | None, float | None, float]:
    """Return end, lifetime and skew of a token that was issued at about the midpoint.

    A new token cannot have expired: if it seems to have, this device's clock is wrong. ``iat`` is
    when the token was made, which may be long ago: where ``expires_in`` contradicts it, that is
    what is left of the token (RFC 6749, section 5.1).
    """
    exp, iat, left = _instant(token, "exp"), _instant(token, "iat"), _lifetime(expires_in)
    if exp is not None and iat is not None and exp > iat:
        life = exp - iat
        if left is None or abs(left - life) < NEGLIGIBLE_SKEW:
            left = life
        skew = exp - left - midpoint
        if abs(skew) < NEGLIGIBLE_SKEW and exp > received_at:
            skew = 0.0
        return _in_range(exp - skew, left, skew)
    if left is not None:
        return _in_range(midpoint + left, left, 0.0)
    if exp is not None and exp > received_at:
        return _in_range(exp, exp - midpoint, 0.0)
    return None, None, 0.0


def _in_range(end: float, lifetime: float, skew: float) -> tuple[float | None, float | None, float]:
    """Return the times if they can be stored: each was in range, their sum may not be."""
    is_known = finite_seconds(end) is not None and finite_seconds(lifetime) is not None
    return (end, lifetime, skew) if is_known else (None, None, 0.0)


def _instant(token: str, claim: str) -> float | None:
    return finite_seconds(instant(token, claim))


def _lifetime(expires_in: object) -> float | None:
    """Return ``expires_in``, which some servers send as a text; None if it is not positive."""
    if isinstance(expires_in, str) and _DECIMAL.fullmatch(expires_in):
        expires_in = float(expires_in)
    return finite_seconds(expires_in) or None


def refusal(response: Response) -> str | None:
    """Return the code with which the server refused a refresh, or None if it did not."""
    refused = response.status_code in {400, 401} and response.code in REFUSALS
    return response.code if refused else None


def parse_retry_after(response: Response, now: float) -> float | None:
    """Return the seconds to wait by ``Retry-After`` (RFC 9110, section 10.2.3), or None.

    Args:
        response: The response, whose ``Retry-After`` is in seconds or a date.
        now: Unix seconds, used for a date if the response has no ``Date`` header.
    """
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MAX_RETRY_AFTER)
    until = _http_date(value)
    if until is None:
        return None
    since = _http_date(response.headers.get("date", ""))
    return min(max(until - (now if since is None else since), 0.0), MAX_RETRY_AFTER)


def _http_date(value: str) -> float | None:
    try:
        date = parsedate_to_datetime(value)
        # Python leaves asctime dates and `-0000` without a zone; both are UTC: RFC 9110, 5.6.7.
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def is_outage(status: int) -> bool:
    """Return whether a status asks to try again later (RFC 9110, section 15; RFC 6585)."""
    return status >= 500 or status in {408, 425, 429}  # noqa: PLR2004


def error_code(value: object) -> str:
    """Return a provider's error code in lower case, or ``BAD_ANSWER`` if it can be none.

    Args:
        value: What the provider sent as ``error`` (RFC 6749, sections 4.1.2.1 and 5.2).
    """
    code = value.lower() if isinstance(value, str) else ""
    return code if _ERROR.fullmatch(code) else "BAD_ANSWER"


def sign_in_error(response: Response, now: float) -> UnexpiredError:
    """Return the error for a failed sign-in, whose response a dialect has translated."""
    match response.status_code:
        case 401 if response.code == BAD_CREDENTIALS:
            return BadCredentials()
        case 429:
            return RateLimited(parse_retry_after(response, now))
        case status if status < 400 or status == 408 or status >= 500:  # noqa: PLR2004
            return Unreachable(retry_after=parse_retry_after(response, now))
        case status:
            return BadReply(response.message, status_code=status, code=response.code)
