"""Recently revoked sessions, in memory, so that checking an access token needs no query.

A revocation in this process takes effect at once, one in another process with the next poll.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from unexpired_server.sessions.store import Store

POLL_INTERVAL = 2.0


class Revocations:
    """The sessions whose access tokens are refused.

    Args:
        store: Where other processes record what they revoke.
        lifetime: Seconds that an access token may outlive the revocation of its session.
        now: The clock, in Unix seconds.
    """

    def __init__(self, store: Store, lifetime: float, now: Callable[[], float]) -> None:
        self._store = store
        self._lifetime = lifetime
        self._now = now
        self._revoked: dict[str, float] = {}

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._revoked

    def add(self, session_ids: Iterable[str]) -> None:
        """Refuse the access tokens of these sessions from now on."""
        forget_at = self._now() + self._lifetime
        self._revoked.update(dict.fromkeys(session_ids, forget_at))

    async def poll(self) -> None:
        """Add the sessions that other processes revoked, and drop those no longer needed.

        Raises:
            Unavailable: The database does not respond; what is known stays known.
        """
        now = self._now()
        # Always the whole window, never "since the last poll": other nodes' clocks differ, and
        # a commit may become visible later than its time says.
        self.add(await self._store.revoked_since(now - self._lifetime))
        self._revoked = {sid: until for sid, until in self._revoked.items() if until > now}
