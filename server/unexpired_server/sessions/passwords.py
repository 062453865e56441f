"""Password hashes: Argon2id with the parameters of RFC 9106, off the event loop."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from unexpired_server.errors import Unavailable
from unexpired_server.sessions.users import canonical

THREADS = 2
"""Each takes 64 MiB and a core while it works."""

WAITING = 32
"""How many may wait for a thread; more would wait longer than a person does."""

MINIMUM_LENGTH = 8
"""In characters (NIST SP 800-63B, section 5.1.1.2)."""

MAXIMUM_LENGTH = 1024
"""In characters; longer ones would only cost time."""


class Passwords:
    """Hashes and verifies passwords in a few threads.

    Args:
        hasher: Argon2's parameters; RFC 9106's low-memory ones when None.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._pool = ThreadPoolExecutor(THREADS, "argon2")
        self._busy = 0
        # A random password's hash: whoever asks for a user that is not there waits as long as
        # for one that is.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        """Hash a new password."""
        return self._hasher.hash(canonical(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether a password fits a hash; none fits None, and finding out takes as long.

        Raises:
            Unavailable: Too many are waiting already.
        """
        if self._busy >= THREADS + WAITING:
            raise Unavailable
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, self._fits, canonical(password), password_hash or self._nobody
            )
        finally:
            self._busy -= 1

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fits(self, password: str, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
