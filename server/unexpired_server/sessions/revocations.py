"""The recently revoked sessions, in memory: access tokens are checked without a query.

Revoking in this process is heard at once; what another process revoked, by the next poll.
"""

from collections.abc import Callable, Iterable

from unexpired_server.sessions.store import Store

POLL_SECONDS = 2.0


class Revocations:
    """The set of sessions whose access tokens are refused.

    Args:
        store: Where other processes write what they revoke.
        memory: Seconds that an access token can live after its session was revoked.
        now: The clock, in Unix seconds.
    """

    def __init__(self, store: Store, memory: float, now: Callable[[], float]) -> None:
        self._store = store
        self._memory = memory
        self._now = now
        self._known: dict[str, float] = {}

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._known

    def add(self, session_ids: Iterable[str]) -> None:
        """Refuse the access tokens of these sessions from now on."""
        forget_at = self._now() + self._memory
        self._known.update(dict.fromkeys(session_ids, forget_at))

    async def poll(self) -> None:
        """Hear of sessions that were revoked elsewhere, and forget the long dead.

        Raises:
            Unavailable: The database does not answer; what is known stays known.
        """
        now = self._now()
        # Always the whole window, never "since the last poll": other nodes' clocks differ, and
        # a commit may become visible later than its time says.
        self.add(await self._store.revoked_since(now - self._memory))
        self._known = {sid: until for sid, until in self._known.items() if until > now}
