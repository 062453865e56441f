"""Reading an access token without verifying it.

Only the server can verify a token. The client reads it to know when to refresh, and for nothing
else: unverified claims prove nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

MAX_LENGTH = 16_384  # Longer than any header that servers accept: not worth decoding.


def claims(token: str) -> Mapping[str, Any]:
    """Return the claims of a JWT (RFC 7519, section 4), unverified.

    Raises:
        ValueError: If the token cannot be read.
    """
    import jwt  # noqa: PLC0415 - slow to import in a browser; only pages with a session need it

    if len(token) > MAX_LENGTH:
        raise ValueError("not a readable token")
    try:
        return jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        # The cause may quote the token, so it is not chained.
        raise ValueError("not a readable token") from None


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
