"""The strict gate before any cryptography: is this the compact form of a signed JWT at all?

JWT libraries are lenient about spelling, size and duplicates; two readers of one token must
never read different things. What passes is bounded, ASCII, canonical and unambiguous.
"""

from dataclasses import dataclass, field
from typing import Any

from unexpired_server.errors import TokenInvalid
from unexpired_server.tokens import base64url, strict_json

MAXIMUM_LENGTH = 4096
"""In characters. Ours have about 450; without a bound a header of megabytes is parsed."""

FORBIDDEN_HEADERS = frozenset({"crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"})
"""They change what is signed, or bring a key along (RFC 8725, sections 3.9 and 3.10)."""


@dataclass(frozen=True, slots=True)
class CompactJWS:
    """A token taken apart; nothing in it is verified yet."""

    header: dict[str, Any]
    payload: dict[str, Any]
    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse_compact(token: str) -> CompactJWS:
    """Take a compact JWT apart (RFC 7515, section 7.1).

    Raises:
        TokenInvalid: It is not one, or one with more freedom than our tokens have.
    """
    if len(token) > MAXIMUM_LENGTH or not token.isascii():
        raise TokenInvalid
    message, _, signature = token.rpartition(".")
    header, _, payload = message.partition(".")
    if not (header and payload and signature):
        raise TokenInvalid
    try:
        compact = CompactJWS(
            header=strict_json.read_object(base64url.decode(header)),
            payload=strict_json.read_object(base64url.decode(payload)),
            message=message.encode("ascii"),
            signature=base64url.decode(signature),
        )
    except ValueError as exc:
        raise TokenInvalid from exc
    if FORBIDDEN_HEADERS & compact.header.keys():
        raise TokenInvalid
    return compact
