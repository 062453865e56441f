"""The users who may sign in."""

from __future__ import annotations

import secrets
import unicodedata
from dataclasses import dataclass, field

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from unexpired_server.storage.database import Database
from unexpired_server.storage.schema import users

CACHE_SIZE = 10_000
"""How many usernames are cached: 1 MB at most."""


@dataclass(frozen=True, slots=True)
class User:
    """A user who may sign in."""

    id: str
    username: str
    password_hash: str = field(repr=False)


class UserExistsError(Exception):
    """The username is taken."""


class Users:
    """Finds and adds users; ``Store`` changes them, because that ends their sessions.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._usernames: dict[str, str] = {}

    async def find(self, username: str) -> User | None:
        """Return the user with this name."""
        query = select(users).where(users.c.username == canonical(username))
        for row in await self._database.rows(query):
            return User(row.id, row.username, row.password_hash)
        return None

    async def username_of(self, user_id: str) -> str | None:
        """Return the name of a user.

        Names never change and ids are never used again, so names are cached: ``/api/me`` needs no
        query, and works while the database is down.
        """
        if user_id not in self._usernames:
            query = select(users.c.username).where(users.c.id == user_id)
            rows = await self._database.rows(query)
            if not rows:
                return None
            if len(self._usernames) >= CACHE_SIZE:
                self._usernames.clear()
            self._usernames[user_id] = rows[0].username
        return self._usernames[user_id]

    async def add(self, username: str, password_hash: str, now: float) -> None:
        """Add a user.

        Raises:
            UserExistsError: The name is taken.
        """
        row = {
            "id": secrets.token_hex(16),
            "username": canonical(username),
            "password_hash": password_hash,
            "created_at": now,
        }
        try:
            await self._database.rows(insert(users).values(row))
        except IntegrityError:
            raise UserExistsError from None

    async def exists_other_than(self, username: str) -> bool:
        """Return whether there is any user besides this one."""
        query = select(users.c.id).where(users.c.username != username).limit(1)
        return bool(await self._database.rows(query))


def canonical(text: str) -> str:
    """Return one form for text that looks alike, such as both forms of é (RFC 8265, 4.2.2)."""
    return unicodedata.normalize("NFC", text)
