"""Base64url without padding, in its one canonical spelling (RFC 4648, sections 3.5 and 5)."""

import base64
import binascii


def encode(raw: bytes) -> str:
    """Spell bytes as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Read base64url without padding.

    Raises:
        ValueError: The text is not the canonical spelling of any bytes.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise ValueError("not base64url") from exc
    # The last character may carry unused bits. Two spellings of one signature would be two
    # tokens for one session: a bit could be flipped and the token still be accepted.
    if encode(raw) != text:
        raise ValueError("not canonical base64url")
    return raw
