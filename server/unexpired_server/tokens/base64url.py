"""Base64url without padding, in its one canonical form (RFC 4648, sections 3.5 and 5)."""

from __future__ import annotations

import base64
import binascii


def encode(raw: bytes) -> str:
    """Encode bytes as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Decode base64url without padding.

    Raises:
        ValueError: The text is not the canonical encoding of any bytes.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise ValueError("not base64url") from exc
    # The last character may carry unused bits. Two spellings of one signature would be two
    # tokens for one session: an attacker could flip a bit and the token would still verify.
    if encode(raw) != text:
        raise ValueError("not canonical base64url")
    return raw
