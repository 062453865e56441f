"""Nonces, which show when a proof was made, whatever its maker's clock says (RFC 9449, section 8).

A nonce is its time of issue with a MAC, so any node with the same keys can read it, and none has to
store it. It is no secret, and many clients get the same one: it only bounds how long ahead a proof
can be made, and how long it may be used.
"""

from __future__ import annotations

from collections.abc import Callable

from unexpired_server.settings import Settings
from unexpired_server.tokens.keys import KeyRing
from unexpired_server.tokens.opaque_tokens import OpaqueTokens

STEP = 60_000
"""How often there is a new nonce, in milliseconds: until then the text is cached."""

TIME_BYTES = 8
KNOWN = 128
"""How many nonces are cached as ours: more than are young at a time. Else each costs a MAC."""

SHORTEST_LIFE = 300.0
LONGEST_LIFE = 3600.0
ROOM = 60.0
"""Seconds. A client gets a nonce with its tokens, and uses it when the token is to be refreshed."""


def nonce_life(settings: Settings) -> float:
    """Return how long a nonce is accepted, in seconds."""
    until_refresh = settings.access_ttl + settings.leeway + ROOM
    return max(SHORTEST_LIFE, min(until_refresh, LONGEST_LIFE)) + STEP / 1000


class ProofNonces:
    """Issues nonces, and reads those that this server's nodes have issued.

    Args:
        ring: The keys that all nodes share.
        now: The clock of all nodes, in Unix seconds.
        life: How long a nonce is accepted, in seconds.
    """

    def __init__(self, ring: KeyRing, now: Callable[[], float], life: float) -> None:
        self._ring = ring
        self._now = now
        self._life = life
        self._tokens = OpaqueTokens(ring, prefix="", purpose="dpop nonce v1", length=TIME_BYTES)
        self._earliest = 0
        self._cached_for = ("", -1)
        self._cached = ""
        self._known: dict[str, float] = {}
        self._known_by = ring.keys

    def current(self) -> str:
        """Return the nonce for a client's next proof."""
        time = max(int(self._now() * 1000) // STEP * STEP, self._earliest)
        if self._cached_for != (key := (self._ring.active.kid, time)):
            self._cached = self._tokens.write(time.to_bytes(TIME_BYTES, "big"))
            self._cached_for = key
        return self._cached

    def issued_at(self, nonce: str) -> float | None:
        """Return when a nonce was issued, in Unix seconds; None when it is not ours."""
        if self._known_by is not self._ring.keys:  # A key that is gone has issued nothing.
            self._known, self._known_by = {}, self._ring.keys
        found = self._known.get(nonce)
        if found is None and (content := self._tokens.read(nonce)) is not None:
            found = int.from_bytes(content, "big") / 1000
            self._remember(nonce, found)
        return found

    def is_fresh(self, nonce: str) -> bool:
        """Return whether a nonce is ours and young enough."""
        issued_at = self.issued_at(nonce)
        return issued_at is not None and self.is_young(issued_at)

    def is_young(self, issued_at: float) -> bool:
        """Return whether a nonce that was issued then is still accepted."""
        return self._now() - issued_at < self._life

    def renew(self, after: float) -> None:
        """Issue only nonces with a later time than this one, in Unix seconds."""
        self._earliest = max(self._earliest, round(after * 1000) + 1)

    def _remember(self, nonce: str, issued_at: float) -> None:
        # Only ours, so that nobody else can displace them.
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known[nonce] = issued_at
