"""Passwords: which may be chosen, and their hashes, made off the event loop."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from precis_i18n import get_profile

from unexpired_server.errors import Unavailable

if TYPE_CHECKING:  # There is no build of it for a Python in a browser.
    from argon2 import PasswordHasher

THREADS = 2
"""Each one uses 64 MiB and a core while it works."""

MAX_QUEUE = 32
"""The most that may wait for a thread; people would not wait for a longer queue."""

MINIMUM_LENGTH = 8
"""In characters (NIST SP 800-63B, section 5.1.1.2)."""

MAXIMUM_LENGTH = 1024
"""In characters; longer passwords would only cost time."""

Result = TypeVar("Result")

_PROFILE = get_profile("OpaqueString")
_SPACES = {ord(one): " " for one in "\u00a0\u1680\u202f\u205f\u3000"} | dict.fromkeys(
    range(0x2000, 0x200B), " "
)


@runtime_checkable
class Hasher(Protocol):
    """Hashes passwords and verifies them; called in several threads at once."""

    def hash(self, password: str) -> str:
        """Hash a password, with a salt of its own."""
        ...

    def matches(self, password: str, password_hash: str) -> bool:
        """Return whether a hash is one of a password; of a damaged hash it is False."""
        ...

    def hash_of_nothing(self) -> str:
        """Return a hash that no password has, and that takes as long to verify as any other."""
        ...


class InvalidPasswordError(ValueError):
    """A password that no user may choose; the message is one sentence for people."""


def check_new_password(password: str) -> None:
    """Check the length and the characters of a new password (RFC 8265, section 4).

    Raises:
        InvalidPasswordError: It is too short or too long, or has control characters.
    """
    if not MINIMUM_LENGTH <= len(_forms(password)[0]) <= MAXIMUM_LENGTH:
        raise InvalidPasswordError(
            f"A password has {MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters."
        )
    try:
        _PROFILE.enforce(password)
    except UnicodeEncodeError:
        raise InvalidPasswordError(
            "A password has no control characters and no characters without a meaning."
        ) from None


def _forms(password: str) -> tuple[str, ...]:
    """Return the form that is hashed, and the one of before, if it differs.

    Spaces of any kind are one kind, as keyboards differ in them (RFC 8265, section 4.2.2).
    """
    before = unicodedata.normalize("NFC", password)
    return tuple(dict.fromkeys((unicodedata.normalize("NFC", password.translate(_SPACES)), before)))


class Passwords:
    """Hashes and verifies passwords in a few threads.

    Args:
        hasher: Argon2's parameters, RFC 9106's low-memory ones when None; or another ``Hasher``.
    """

    def __init__(self, hasher: PasswordHasher | Hasher | None = None) -> None:
        self._hasher = hasher if isinstance(hasher, Hasher) else _argon2(hasher)
        self._pool = ThreadPoolExecutor(THREADS, "argon2")
        self._busy = 0
        # So that an unknown username takes as long as a wrong password.
        self._dummy_hash = self._hasher.hash_of_nothing()

    def hash(self, password: str) -> str:
        """Hash a new password."""
        return self._hasher.hash(_forms(password)[0])

    async def hash_new(self, password: str) -> str:
        """Check a new password, and hash it in one of the threads.

        Raises:
            InvalidPasswordError: It is too short or too long, or has control characters.
            Unavailable: Too many are waiting already.
        """
        check_new_password(password)
        return await self._run(self.hash, password)

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Return whether a password matches a hash; None never matches, in the same time.

        Raises:
            Unavailable: Too many are waiting already.
        """
        return await self._run(self._matches_any, password, password_hash or self._dummy_hash)

    @property
    def running(self) -> int:
        """How many passwords are verified at this moment."""
        return min(self._busy, THREADS)

    @property
    def waiting(self) -> int:
        """How many wait for a thread; at ``MAX_QUEUE`` further sign-ins are refused."""
        return max(0, self._busy - THREADS)

    def close(self) -> None:
        """Stop the threads; the next use starts others, as tests run one application again."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = ThreadPoolExecutor(THREADS, "argon2")

    async def _run(self, work: Callable[..., Result], *args: str) -> Result:
        if self._busy >= THREADS + MAX_QUEUE:
            raise Unavailable
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        finally:
            self._busy -= 1

    def _matches_any(self, password: str, password_hash: str) -> bool:
        return any(self._matches(form, password_hash) for form in _forms(password))

    def _matches(self, password: str, password_hash: str) -> bool:
        return self._hasher.matches(password, password_hash)


def _argon2(parameters: PasswordHasher | None) -> Hasher:
    from unexpired_server.sessions.argon2_hasher import Argon2Hasher  # noqa: PLC0415 - see above

    return Argon2Hasher(parameters)
