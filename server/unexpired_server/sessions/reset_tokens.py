"""Tokens for a forgotten password: ``pr1.`` and base64url, bound to the password that they replace.

Nothing is stored. A token names the user, its expiry and a fingerprint of the hash of the present
password, so it ends with its first use, and with any other change of the password.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from unexpired_server.tokens.keys import KeyRing
from unexpired_server.tokens.opaque_tokens import OpaqueTokens

PREFIX = "pr1."
LIFETIME = 1800
"""In seconds: long enough for a slow mail server."""

USER_ID_BYTES = 16
EXPIRY_BYTES = 8
FINGERPRINT_BYTES = 16


@dataclass(frozen=True, slots=True)
class ResetTokenClaims:
    """The content of an authentic token that has not expired."""

    user_id: str
    fingerprint: bytes = field(repr=False)

    def is_for(self, password_hash: str) -> bool:
        """Return whether the token replaces the password with this hash."""
        return hmac.compare_digest(self.fingerprint, _fingerprint(password_hash))


class ResetTokens:
    """Writes tokens for a forgotten password, and reads only those that it wrote.

    Args:
        ring: The signing keys.
        now: The clock of all nodes, in Unix seconds.
    """

    def __init__(self, ring: KeyRing, now: Callable[[], float]) -> None:
        self._tokens = OpaqueTokens(
            ring,
            prefix=PREFIX,
            purpose="password reset token v1",
            length=USER_ID_BYTES + EXPIRY_BYTES + FINGERPRINT_BYTES,
        )
        self._now = now

    def write(self, user_id: str, password_hash: str) -> str:
        """Return a token that replaces a user's present password once."""
        expiry = (int(self._now()) + LIFETIME).to_bytes(EXPIRY_BYTES, "big")
        return self._tokens.write(bytes.fromhex(user_id) + expiry + _fingerprint(password_hash))

    def read(self, token: str) -> ResetTokenClaims | None:
        """Return what a token says, or None when it is not authentic or has expired."""
        content = self._tokens.read(token)
        if content is None:
            return None
        user_id, rest = content[:USER_ID_BYTES], content[USER_ID_BYTES:]
        if int.from_bytes(rest[:EXPIRY_BYTES], "big") <= self._now():
            return None
        return ResetTokenClaims(user_id.hex(), rest[EXPIRY_BYTES:])


def _fingerprint(password_hash: str) -> bytes:
    # It need not be keyed: the hash has a random salt of 128 bits that nobody sees.
    return hashlib.sha256(password_hash.encode()).digest()[:FINGERPRINT_BYTES]
