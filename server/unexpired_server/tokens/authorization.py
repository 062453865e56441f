"""The Authorization header of a request with an access token (RFC 6750, RFC 9449)."""

from __future__ import annotations

from typing import Literal

from unexpired_server.errors import BEARER, DPOP, TokenInvalid, TokenMissing

Scheme = Literal["bearer", "dpop"]

SCHEMES: dict[str, Scheme] = {"bearer": "bearer", "dpop": "dpop"}
CHALLENGES: dict[Scheme, str] = {"bearer": BEARER, "dpop": DPOP}


def access_token(*headers: str | bytes) -> tuple[Scheme, str]:
    """Return the one token in the Authorization headers of a request, and its scheme.

    With two headers or two tokens, both are refused: a proxy may have checked the other one.

    Args:
        *headers: The value of each header; frameworks give text, or the bytes that were sent.

    Raises:
        TokenMissing: There is no access token.
        TokenInvalid: There is more than one, or it is not ASCII.
    """
    if not headers:
        raise TokenMissing
    if len(headers) > 1 or not headers[0].isascii():
        raise TokenInvalid
    value = headers[0] if isinstance(headers[0], str) else headers[0].decode("ascii")
    named, _, rest = value.strip(" \t").partition(" ")
    scheme, token = SCHEMES.get(named.lower()), rest.strip(" ")
    if scheme is None or not token:
        raise TokenMissing
    return scheme, token
