"""The compact form of a signed JWT, parsed strictly before any cryptography (RFC 7515).

JWT libraries are lenient about encoding, size and duplicates, and two readers of one token must
never read different things. What passes here is bounded, ASCII, canonical and unambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from unexpired_server.errors import TokenInvalid
from unexpired_server.tokens import base64url, strict_json

MAXIMUM_LENGTH = 4096
"""In characters. Our tokens have about 450; an unbounded parser reads headers of megabytes."""

FORBIDDEN_HEADERS = frozenset({"crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"})
"""They change what is signed, or bring their own key (RFC 8725, sections 3.9 and 3.10)."""


@dataclass(frozen=True, slots=True)
class CompactJWS:
    """The parts of a token; nothing in it is verified yet."""

    header: dict[str, Any]
    payload: dict[str, Any]
    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse_compact(token: str, maximum_length: int = MAXIMUM_LENGTH) -> CompactJWS:
    """Split a compact JWT into its parts (RFC 7515, section 7.1).

    Args:
        token: The text.
        maximum_length: In characters.

    Raises:
        TokenInvalid: It is not a compact JWT, or uses a feature that access tokens never need.
    """
    try:
        header, payload, signature = split_compact(token, maximum_length)
        compact = CompactJWS(
            header=strict_json.read_object(base64url.decode(header)),
            payload=strict_json.read_object(base64url.decode(payload)),
            message=f"{header}.{payload}".encode("ascii"),
            signature=base64url.decode(signature),
        )
    except ValueError as exc:
        raise TokenInvalid from exc
    if FORBIDDEN_HEADERS & compact.header.keys():
        raise TokenInvalid
    return compact


def split_compact(token: str, maximum_length: int) -> tuple[str, str, str]:
    """Return the three segments of a compact JWT, which are not decoded yet.

    Args:
        token: The text.
        maximum_length: In characters.

    Raises:
        ValueError: It is too long, or not ASCII in three segments that are not empty.
    """
    if len(token) > maximum_length or not token.isascii():
        raise ValueError("too long, or not ASCII")
    segments = token.split(".", 3)
    if len(segments) != 3 or not all(segments):  # noqa: PLR2004 - RFC 7515, section 7.1
        raise ValueError("not three segments")
    return segments[0], segments[1], segments[2]
