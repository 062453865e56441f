"""PBKDF2 from Python's own parts, for there is no Argon2 for a Python in a browser."""

from __future__ import annotations

import hmac
import secrets

ITERATIONS = 1000
"""Few, so that a browser takes some milliseconds: everybody knows the demo's password, and the
database is the person's own."""

SALT_BYTES = 16


class PBKDF2Hasher:
    """Hashes passwords by PBKDF2 with HMAC-SHA-256 (RFC 8018), in one block."""

    def hash(self, password: str) -> str:
        """Hash a password, with a salt of its own."""
        salt = secrets.token_bytes(SALT_BYTES)
        return _text(salt, derive(password, salt, ITERATIONS))

    def matches(self, password: str, password_hash: str) -> bool:
        """Return whether a hash is one of a password; of a damaged hash it is False."""
        try:
            salt, digest = (bytes.fromhex(part) for part in password_hash.split("$"))
        except ValueError:
            return False
        return hmac.compare_digest(digest, derive(password, salt, ITERATIONS))

    def hash_of_nothing(self) -> str:
        """Return a hash that no password has, and that takes as long to verify as any other."""
        return _text(secrets.token_bytes(SALT_BYTES), secrets.token_bytes(32))


def derive(password: str, salt: bytes, iterations: int) -> bytes:
    """Return a password's key of 32 bytes (RFC 8018, section 5.2).

    ``hashlib.pbkdf2_hmac`` needs OpenSSL, which Python has not in a browser.
    """
    key = password.encode("utf-8", "surrogatepass")
    block = hmac.digest(key, salt + b"\0\0\0\1", "sha256")
    mixed = int.from_bytes(block, "big")
    for _ in range(iterations - 1):
        block = hmac.digest(key, block, "sha256")
        mixed ^= int.from_bytes(block, "big")
    return mixed.to_bytes(32, "big")


def _text(salt: bytes, digest: bytes) -> str:
    return f"{salt.hex()}${digest.hex()}"
