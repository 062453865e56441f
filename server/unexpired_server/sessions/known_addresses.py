"""The addresses that an account has signed in from."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from unexpired_server.sessions.usernames import account_hash, spellings
from unexpired_server.storage.database import Database
from unexpired_server.storage.schema import sessions, users

LATEST = 200
"""How many sessions are considered, latest first."""

ADDRESSES = (
    select(sessions.c.address)
    .join(users, users.c.id == sessions.c.user_id)
    .where(
        users.c.username.in_(bindparam("names", expanding=True)),
        sessions.c.address.is_not(None),
    )
    .order_by(sessions.c.refreshed_at.desc())
    .limit(LATEST)
)
"""Ended sessions count, too: their rows are deleted a day after they would have expired."""


OWN_ADDRESSES = (
    select(sessions.c.address)
    .where(sessions.c.account == bindparam("account"), sessions.c.address.is_not(None))
    .order_by(sessions.c.refreshed_at.desc())
    .limit(LATEST)
)
"""Where the users are in an application's own table."""


class KnownAddresses:
    """Finds the addresses that an account has signed in from.

    Args:
        database: The database.
        has_own_users: Whether the users are in an application's own table.
    """

    def __init__(self, database: Database, *, has_own_users: bool = False) -> None:
        self._database = database
        self._has_own_users = has_own_users

    async def of(self, username: str) -> set[str]:
        """Return the addresses of an account's latest sessions; none for an unknown username."""
        query = ADDRESSES.params(names=spellings(username))
        if self._has_own_users:
            query = OWN_ADDRESSES.params(account=account_hash(username))
        return {row.address for row in await self._database.rows(query)}
