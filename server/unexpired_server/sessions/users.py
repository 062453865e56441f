"""The built-in table of users."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from unexpired_server.scopes import join_scopes, split_scopes
from unexpired_server.sessions.user import User
from unexpired_server.sessions.usernames import new_username, spellings, variants
from unexpired_server.storage.database import Database
from unexpired_server.storage.schema import users

CACHE_SIZE = 10_000
"""How many usernames are cached: 1 MB at most."""

PAGE = 1000
"""Users in one step of a list."""


@dataclass(frozen=True, kw_only=True)
class Account(User):
    """A user of the built-in table.

    Attributes:
        password_hash: As it was when the user was read.
    """

    password_hash: str = field(repr=False)

    def without_password(self) -> User:
        """Return the user as applications may see it."""
        return User(self.id, self.username, self.scopes)


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

    async def find(self, username: str) -> Account | None:
        """Return the user with this name, as typed: ``Ada`` and ``ada `` mean ``ada``."""
        return await self._find(username)

    async def find_enabled(self, username: str) -> Account | None:
        """Return the user with this name, as typed, unless disabled."""
        return await self._find(username, users.c.disabled_at.is_(None))

    async def enabled(self, user_id: str) -> Account | None:
        """Return the user with this id, unless disabled."""
        query = select(users).where(users.c.id == user_id, users.c.disabled_at.is_(None))
        rows = await self._database.rows(query)
        return _account(rows[0]) if rows else None

    async def _find(self, username: str, *conditions: ColumnElement[bool]) -> Account | None:
        names = spellings(username)
        if not names:
            return None
        query = select(users).where(users.c.username.in_(names), *conditions)
        rows = await self._database.rows(query)
        found = {row.username: row for row in rows}
        row = next((found[name] for name in names if name in found), None)
        return _account(row) if row else None

    async def page(self, after: str = "", limit: int = PAGE) -> list[Account]:
        """Return users by their name.

        Args:
            after: The name of the last user of the page before.
            limit: The most to return.
        """
        query = select(users).where(users.c.username > after).order_by(users.c.username)
        return [_account(row) for row in await self._database.rows(query.limit(limit))]

    async def set_scopes(self, user_id: str, scopes: Collection[str]) -> None:
        """Replace what a user may do; it takes effect at each session's next refresh."""
        values = {"scopes": join_scopes(scopes)}
        await self._database.rows(
            update(users).where(users.c.id == user_id).values(values), is_repeatable=True
        )

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

    async def add(self, username: str, password_hash: str, now: float) -> Account:
        """Add a user, and return it.

        Raises:
            InvalidUsernameError: No user may have this name.
            UserExistsError: The name is taken, in this or another spelling.
        """
        name = new_username(username)
        taken = select(users.c.id).where(users.c.username.in_(variants(name)))
        if await self._database.rows(taken):
            raise UserExistsError
        user = Account(id=secrets.token_hex(16), username=name, password_hash=password_hash)
        row = {
            "id": user.id,
            "username": name,
            "password_hash": password_hash,
            "created_at": now,
        }
        try:
            await self._database.rows(insert(users).values(row))
        except IntegrityError:
            raise UserExistsError from None
        return user

    async def exists_other_than(self, username: str) -> bool:
        """Return whether there is any user besides this one."""
        query = select(users.c.id).where(users.c.username != username).limit(1)
        return bool(await self._database.rows(query))


def _account(row: Row[Any]) -> Account:
    return Account(
        id=row.id,
        username=row.username,
        scopes=split_scopes(row.scopes),
        password_hash=row.password_hash,
    )
