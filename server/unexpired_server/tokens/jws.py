"""The compact form of a signed JWT, parsed strictly before any cryptography (RFC 7515).

JWT libraries are lenient about encoding, size and duplicates, and two readers of one token must
never read different things. What passes here is bounded, ASCII, canonical and unambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from unexpired_server.errors import TokenInvalid
from unexpired_server.tokens import base64url, strict_json

MAXIMUM_LENGTH = 4096
"""In characters. Our tokens have about 450; an unbounded parser reads headers of megabytes."""

FORBIDDEN_HEADERS = frozenset({"crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"})
"""They change what is signed, or bring their own key (RFC 8725, sections 3.9 and 3.10)."""


KNOWN_HEADERS = 64
"""How many headers a verifier remembers: its keys times the ways to write a header."""

KNOWN_HEADER_LENGTH = 512
"""In characters; ours have about 80."""

Header = Mapping[str, Any]
NO_HEADERS: Mapping[str, Header] = MappingProxyType({})


@dataclass(slots=True)  # Freezing takes 1 µs for each token, and nothing keeps one.
class CompactJWS:
    """The parts of a token; nothing in it is verified yet.

    Attributes:
        segment: The header as the token has it.
        header: The header.
        payload: The claims.
        message: What is signed.
        signature: The signature.
    """

    segment: str = field(repr=False)
    header: Header
    payload: dict[str, Any]
    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse_compact(
    token: str,
    maximum_length: int = MAXIMUM_LENGTH,
    known: Mapping[str, Header] = NO_HEADERS,
) -> CompactJWS:
    """Split a compact JWT into its parts (RFC 7515, section 7.1).

    Args:
        token: The text.
        maximum_length: In characters.
        known: Headers that were parsed before, by their segment; parsing one takes a third of
            all parsing, and all tokens of a key have the same.

    Raises:
        TokenInvalid: It is not a compact JWT, or uses a feature that access tokens never need.
    """
    try:
        header, payload, signature = split_compact(token, maximum_length)
        return CompactJWS(
            header,
            known.get(header) or _parse_header(header),
            strict_json.read_object(base64url.decode(payload)),
            token[: -len(signature) - 1].encode("ascii"),
            base64url.decode(signature),
        )
    except ValueError as exc:
        raise TokenInvalid from exc


def _parse_header(segment: str) -> Header:
    header = strict_json.read_object(base64url.decode(segment))
    if not FORBIDDEN_HEADERS.isdisjoint(header):
        raise ValueError("a header that access tokens never need")
    return header


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
    if len(segments) != 3 or "" in segments:  # noqa: PLR2004 - RFC 7515, section 7.1
        raise ValueError("not three segments")
    return segments[0], segments[1], segments[2]
