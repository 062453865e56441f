"""Recently revoked sessions, in memory, so that checking an access token needs no query.

A revocation in this process takes effect at once, one in another process with the next poll. A
poll reads only what is new. It also notices what the database no longer has, because it was
restored from a backup, or a replica took over, or because it did not answer when a session ended
here: this memory then knows better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from unexpired_server.sessions.store import Store

POLL_INTERVAL = 2.0

OVERLAP = 60.0
"""Seconds that each poll reads again: a commit may become visible later than its time says."""

SETTLING = 10.0
"""Seconds after which a revocation must be in the database; longer than any of its statements."""


class Revocations:
    """The sessions whose access tokens are refused.

    Args:
        store: Where other processes record what they revoke.
        lifetime: Seconds that an access token may outlive the revocation of its session.
        now: The database's clock, in Unix seconds.
    """

    def __init__(self, store: Store, lifetime: float, now: Callable[[], float]) -> None:
        self._store = store
        self._lifetime = lifetime
        self._now = now
        # By the time of the revocation, more or less: the oldest first.
        self._revoked_at: dict[str, float] = {}
        # Of these the database need not know: it was not asked yet, or they had ended before.
        self._unrecorded: set[str] = set()
        self._owed: set[str] = set()
        self._polled_at: float | None = None
        self._reread = True

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._revoked_at

    def __len__(self) -> int:
        return len(self._revoked_at)

    def age(self) -> float | None:
        """Return the seconds since the last poll that succeeded; None before the first."""
        return None if self._polled_at is None else self._now() - self._polled_at

    def add(self, session_ids: Iterable[str], *, is_recorded: bool = True) -> None:
        """Refuse the access tokens of these sessions from now on.

        Args:
            session_ids: The sessions.
            is_recorded: Whether the database has these revocations.
        """
        now = self._now()
        for session_id in session_ids:
            if is_recorded:
                self._unrecorded.discard(session_id)
            elif session_id not in self._revoked_at:
                self._unrecorded.add(session_id)
            self._revoked_at.setdefault(session_id, now)

    def owe(self, session_ids: Iterable[str]) -> None:
        """Remember revocations that the database could not take; the next poll returns them."""
        self._owed.update(session_ids)

    def has_recorded(self, session_id: str) -> bool:
        """Return whether the database had the revocation of this session."""
        return session_id in self._revoked_at and session_id not in self._unrecorded

    def reread(self) -> None:
        """Compare the whole memory with the database at the next poll, as it may have lost data."""
        self._reread = True

    async def poll(self) -> list[str]:
        """Add the sessions that other processes revoked, and drop those no longer needed.

        Returns:
            The sessions that this process knows to be revoked, and the database does not, or no
            longer.

        Raises:
            Unavailable: The database does not respond; what is known stays known.
        """
        now = self._now()
        self._forget(now - self._lifetime)
        since = now - self._lifetime
        if self._polled_at is not None and not self._reread:
            # The clock is behind the last poll where a replica with another clock has taken over.
            since = max(since, min(self._polled_at, now) - OVERLAP)
        recorded = await self._store.revoked_since(since)
        lost = self._missing_from(recorded, since, now - SETTLING)
        self._revoked_at.update(recorded)
        # Where a little was lost, more may be.
        self._polled_at, self._reread = now, bool(lost) and not self._reread
        owed, self._owed = self._owed, set()
        return [*lost, *owed.difference(lost)]

    def _missing_from(self, recorded: Mapping[str, float], since: float, until: float) -> list[str]:
        found = []
        for session_id, at in reversed(self._revoked_at.items()):
            if at < since - OVERLAP:
                break
            is_due = since <= at <= until and session_id not in self._unrecorded
            if is_due and session_id not in recorded:
                found.append(session_id)
        return found

    def _forget(self, before: float) -> None:
        # Only from the front, so that a poll costs what is new and not what is known.
        while self._revoked_at:
            session_id, at = next(iter(self._revoked_at.items()))
            if at > before:
                return
            del self._revoked_at[session_id]
            self._unrecorded.discard(session_id)
