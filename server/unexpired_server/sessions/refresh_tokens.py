"""Refresh tokens: ``rt1.`` and base64url of key id, session id, counter and a MAC over them."""

from __future__ import annotations

from dataclasses import dataclass

from unexpired_server.sessions.rules import Session
from unexpired_server.tokens.keys import KeyRing
from unexpired_server.tokens.opaque_tokens import OpaqueTokens

PREFIX = "rt1."
SESSION_ID_BYTES = 16
COUNTER_BYTES = 8


@dataclass(frozen=True, slots=True)
class RefreshTokenClaims:
    """The content of an authentic refresh token."""

    session_id: str
    counter: int


class RefreshTokens:
    """Writes refresh tokens, and reads only those that it wrote.

    Args:
        ring: The signing keys.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._tokens = OpaqueTokens(
            ring,
            prefix=PREFIX,
            purpose="refresh token v1",
            length=SESSION_ID_BYTES + COUNTER_BYTES,
        )

    def write(self, session: Session) -> str:
        """Return the refresh token of a session as it is now."""
        counter = session.counter.to_bytes(COUNTER_BYTES, "big")
        return self._tokens.write(bytes.fromhex(session.id) + counter)

    def read(self, token: str) -> RefreshTokenClaims | None:
        """Return what a token says, or None when it is not authentic."""
        content = self._tokens.read(token)
        if content is None:
            return None
        session_id, counter = content[:SESSION_ID_BYTES], content[SESSION_ID_BYTES:]
        return RefreshTokenClaims(session_id.hex(), int.from_bytes(counter, "big"))
