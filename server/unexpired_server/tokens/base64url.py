"""Base64url without padding, in its one canonical form (RFC 4648, sections 3.5 and 5)."""

from __future__ import annotations

import base64
import binascii

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

_TO_BASE64 = bytes.maketrans(b"-_+/=", b"+/!!!")
"""Base64's own letters become one that it refuses; so does padding, which is added here."""

_PADDING = (b"", b"===", b"==", b"=")
_LAST = (ALPHABET, "", ALPHABET[::16], ALPHABET[::4])
"""By the length modulo 4: how a text may end, if the unused bits of its last character are 0."""


def encode(raw: bytes) -> str:
    """Encode bytes as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Decode base64url without padding.

    Raises:
        ValueError: The text is not the canonical encoding of any bytes.
    """
    remainder = len(text) % 4
    # The last character may carry unused bits. Two spellings of one signature would be two
    # tokens for one session: an attacker could flip a bit and the token would still verify.
    if text[-1:] not in _LAST[remainder]:
        raise ValueError("not canonical base64url")
    padded = text.encode("ascii").translate(_TO_BASE64) + _PADDING[remainder]
    try:
        return binascii.a2b_base64(padded, strict_mode=True)
    except binascii.Error as exc:
        raise ValueError("not base64url") from exc
