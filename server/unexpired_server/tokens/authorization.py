"""The Authorization header of a request with a bearer token (RFC 6750, section 2.1)."""

from __future__ import annotations

from unexpired_server.errors import TokenInvalid, TokenMissing


def bearer_token(*headers: str | bytes) -> str:
    """Return the one token in the Authorization headers of a request.

    With two headers or two tokens, both are refused: a proxy may have checked the other one.

    Args:
        *headers: The value of each header; frameworks give text, or the bytes that were sent.

    Raises:
        TokenMissing: There is no bearer token.
        TokenInvalid: There is more than one, or it is not ASCII.
    """
    if not headers:
        raise TokenMissing
    if len(headers) > 1 or not headers[0].isascii():
        raise TokenInvalid
    value = headers[0] if isinstance(headers[0], str) else headers[0].decode("ascii")
    scheme, _, token = value.strip(" \t").partition(" ")
    if scheme.lower() != "bearer" or not token.strip(" "):
        raise TokenMissing
    return token.strip(" ")
