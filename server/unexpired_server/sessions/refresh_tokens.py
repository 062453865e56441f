"""Refresh tokens: ``rt1.`` and base64url of key id, session id, counter and a MAC over them.

A token is authentic or refused before any database work, and nothing in the database can make one.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from unexpired_server.sessions.rules import Session
from unexpired_server.tokens import base64url
from unexpired_server.tokens.key_file import KEY_ID_BYTES
from unexpired_server.tokens.keys import Key, KeyRing

PREFIX = "rt1."
SESSION_ID_BYTES = 16
COUNTER_BYTES = 8
MAC_BYTES = 32


@dataclass(frozen=True, slots=True)
class RefreshTokenClaims:
    """The content of an authentic refresh token."""

    session_id: str
    counter: int


class RefreshTokens:
    """Writes refresh tokens, and reads only those that it wrote.

    Args:
        ring: The signing keys. The MAC's key is derived from them for this purpose only, so
            that neither kind of token can be made from the other.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def write(self, session: Session) -> str:
        """Return the refresh token of a session as it is now."""
        key = self._ring.active
        body = (
            bytes.fromhex(key.kid)
            + bytes.fromhex(session.id)
            + session.counter.to_bytes(COUNTER_BYTES, "big")
        )
        return PREFIX + base64url.encode(body + _mac(key, body))

    def read(self, token: str) -> RefreshTokenClaims | None:
        """Return what a token says, or None when it is not authentic."""
        raw = _decode(token)
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        key = self._ring.keys.get(body[:KEY_ID_BYTES].hex())
        if key is None or not hmac.compare_digest(mac, _mac(key, body)):
            return None
        session_id = body[KEY_ID_BYTES:-COUNTER_BYTES]
        return RefreshTokenClaims(session_id.hex(), int.from_bytes(body[-COUNTER_BYTES:], "big"))


def _decode(token: str) -> bytes:
    if not token.startswith(PREFIX) or len(token) > _LENGTH:
        return b""
    try:
        raw = base64url.decode(token.removeprefix(PREFIX))
    except ValueError:
        return b""
    return raw if len(raw) == _RAW_LENGTH else b""


def _mac(key: Key, body: bytes) -> bytes:
    return hmac.digest(key.derive("refresh token v1"), PREFIX.encode() + body, "sha256")


_RAW_LENGTH = KEY_ID_BYTES + SESSION_ID_BYTES + COUNTER_BYTES + MAC_BYTES
_LENGTH = len(PREFIX) + len(base64url.encode(bytes(_RAW_LENGTH)))
