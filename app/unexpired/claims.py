"""Reading an access token without verifying it.

Only the server can verify a token. The client reads it to know when to refresh, and for nothing
else: unverified claims prove nothing.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Mapping
from typing import Any

from unexpired.outside_text import loads

MAX_LENGTH = 16_384  # Longer than any header that servers accept: not worth decoding.


def claims(token: str) -> Mapping[str, Any]:
    """Return the claims of a JWT (RFC 7519, section 4), unverified.

    Raises:
        ValueError: If the token cannot be read.
    """
    return _part(token, 1)


def header_and_claims(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the header (RFC 7515, section 4) and the claims of a JWT, unverified.

    Raises:
        ValueError: If the token cannot be read, or has a number that is not finite.
    """
    return _part(token, 0, finite=True), _part(token, 1, finite=True)


def _part(token: str, index: int, *, finite: bool = False) -> Mapping[str, Any]:
    try:
        value = loads(_decoded(token, index), finite=finite)
    except ValueError:  # The cause may quote the token, so it is not chained.
        value = None
    if not isinstance(value, dict):
        raise ValueError("not a readable token")  # noqa: TRY004 - the token's content is wrong
    return value


def _decoded(token: str, index: int) -> str:
    """Return the header or the payload of a JWS in compact form (RFC 7515, section 7.1)."""
    if len(token) > MAX_LENGTH:
        raise ValueError("too long")
    header, payload, _ = token.split(".")
    encoded = (header, payload)[index]
    padded = encoded + "=" * (-len(encoded) % 4)
    return base64.b64decode(padded.encode(), altchars=b"-_", validate=True).decode()


def expires_at(token: str) -> float | None:
    """Return the token's ``exp`` in Unix seconds (RFC 7519, section 4.1.4), or None."""
    return instant(token, "exp")


def instant(token: str, claim: str) -> float | None:
    """Return a NumericDate claim (RFC 7519, section 2) in Unix seconds; None if unusable."""
    try:
        value = claims(token).get(claim)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) if math.isfinite(value) and value >= 0 else None
    except (ValueError, OverflowError):
        return None


def is_expiring_soon(
    token: str | None, buffer_seconds: float = 60, now: float | None = None
) -> bool:
    """Return whether the token expires within the buffer, has expired, or cannot be read.

    Args:
        token: An access token; None counts as expiring.
        buffer_seconds: How long before its ``exp`` a token counts as expiring, in seconds.
        now: The current time, in Unix seconds; the device's clock by default.
    """
    end = expires_at(token) if token else None
    if end is None:
        return True
    return end - (time.time() if now is None else now) <= buffer_seconds
