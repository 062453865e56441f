"""The memory of proofs that were used, so that none is used twice (RFC 9449, section 11.1).

It is bounded, in two generations. When the newer one is full, or as old as a proof can be, the
older one is forgotten. So that nothing can be used again that was forgotten, proofs as old as those
are no longer accepted. How old a proof is, its nonce says (then its client gets a newer one, which
costs one round trip), or where there are no nonces, the proof itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

CAPACITY = 250_000
"""How many proofs a generation remembers: 50 MB at most for both."""

KEY_BYTES = 16


class UsedProofs:
    """Remembers the proofs that one process has accepted.

    Args:
        now: The clock of all nodes, in Unix seconds.
        life: How long a proof is accepted, in seconds.
        on_new_generation: Called with the time of the newest proof so far; from then on, only later
            nonces may be issued.
        capacity: How many proofs a generation remembers; ``CAPACITY`` when None.
    """

    def __init__(
        self,
        now: Callable[[], float],
        life: float,
        on_new_generation: Callable[[float], None] = lambda _time: None,
        capacity: int | None = None,
    ) -> None:
        self._now = now
        self._life = life
        self._on_new_generation = on_new_generation
        self._capacity = capacity or CAPACITY
        self._current: set[bytes] = set()
        self._last: set[bytes] = set()
        self._newest = self._newest_of_last = 0.0
        self._since = now()
        self._forgotten_until = 0.0

    def __len__(self) -> int:
        return len(self._current) + len(self._last)

    def remembers(self, time: float) -> bool:
        """Return whether no proof of this time has been forgotten."""
        # First, so that nothing is forgotten between this and `add`.
        if len(self._current) >= self._capacity or self._now() - self._since >= self._life:
            self._begin_generation()
        return time > self._forgotten_until

    def add(self, key: bytes, time: float) -> bool:
        """Remember a proof; return whether it is used for the first time.

        Args:
            key: Names the proof, as ``proof_key`` does.
            time: Its time, which ``remembers`` accepts.
        """
        if key in self._current or key in self._last:
            return False
        self._current.add(key)
        self._newest = max(self._newest, time)
        return True

    def _begin_generation(self) -> None:
        self._forgotten_until = max(self._forgotten_until, self._newest_of_last)
        self._last, self._current = self._current, set()
        self._newest_of_last, self._newest = self._newest, 0.0
        self._since = self._now()
        self._on_new_generation(self._newest_of_last)


def proof_key(jkt: str, jti: str) -> bytes:
    """Return a short name of a proof: an id is unique among the proofs by one key."""
    return hashlib.sha256(f"{jkt}.{jti}".encode()).digest()[:KEY_BYTES]
