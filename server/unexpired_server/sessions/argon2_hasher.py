"""Argon2id, with the parameters of RFC 9106 unless others are given."""

from __future__ import annotations

import secrets
from base64 import b64encode

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION


class Argon2Hasher:
    """Hashes and verifies with argon2-cffi.

    Args:
        parameters: Argon2's parameters; RFC 9106's low-memory ones when None.
    """

    def __init__(self, parameters: PasswordHasher | None = None) -> None:
        self._argon2 = parameters or PasswordHasher()

    def hash(self, password: str) -> str:
        """Hash a password."""
        return self._argon2.hash(password)

    def matches(self, password: str, password_hash: str) -> bool:
        """Return whether a hash is one of a password."""
        try:
            return self._argon2.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def hash_of_nothing(self) -> str:
        """Return a hash that no password has, and that takes as long to verify as any other.

        Its bytes are random: to hash a password takes a tenth of a second, at each start of a
        server and at each of its commands.
        """
        hasher = self._argon2
        lengths = (hasher.salt_len, hasher.hash_len)
        salt, digest = (b64encode(secrets.token_bytes(one)).decode().rstrip("=") for one in lengths)
        costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
        return f"$argon2{hasher.type.name.lower()}$v={ARGON2_VERSION}${costs}${salt}${digest}"
