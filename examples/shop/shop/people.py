"""The people who shop and work here: a table of the shop's own."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from dataclasses import dataclass

from shop.database import Database
from unexpired_server import Passwords, User

SCOPES = {
    "customer": frozenset({"orders"}),
    "staff": frozenset({"orders", "teas:write", "people:write"}),
}
"""What each role may do."""


class NameTakenError(Exception):
    """Somebody has this name already."""


@dataclass(frozen=True)
class Person(User):
    """A user of the shop, with the role that their scopes come from."""

    role: str = "customer"


class People:
    """Finds people for the sign-in and at each refresh; adds them, and gives them roles.

    Args:
        database: The shop's database.
        passwords: Hashes and verifies passwords.
    """

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    async def authenticate(self, username: str, password: str, **_fields: object) -> Person | None:
        """Return the person with this name and password, or None."""
        query = "SELECT * FROM people WHERE name = ?"
        row = await asyncio.to_thread(self._database.one, query, username)
        # With None it takes as long as with a wrong password.
        is_right = await self._passwords.verify(password, row["password_hash"] if row else None)
        return _person(row) if row and is_right else None

    async def find(self, user_id: str) -> Person | None:
        """Return the person as they are now; None ends their sessions."""
        row = await asyncio.to_thread(
            self._database.one, "SELECT * FROM people WHERE id = ?", user_id
        )
        return _person(row) if row else None

    async def add(self, name: str, password: str) -> Person:
        """Add a person; the first one runs the shop.

        Raises:
            NameTakenError: Somebody has this name.
            InvalidPasswordError: The password cannot be used; the message is one sentence.
        """
        # A few at a time, as each takes much memory: so many sign-ups at once do no harm.
        password_hash = await self._passwords.hash_new(password)
        return await asyncio.to_thread(self._add, name, password_hash)

    def set_role(self, name: str, role: str) -> bool:
        """Give a person another role, from their next refresh on; return whether there is one."""
        return self._database.run("UPDATE people SET role = ? WHERE name = ?", role, name) == 1

    def _add(self, name: str, password_hash: str) -> Person:
        # One statement, so that of two who are first at once only one runs the shop.
        statement = """
            INSERT INTO people (id, name, password_hash, role)
            SELECT ?, ?, ?, CASE WHEN EXISTS (SELECT 1 FROM people) THEN 'customer' ELSE 'staff' END
            RETURNING id, name, role
        """
        try:
            row = self._database.one(statement, secrets.token_hex(8), name, password_hash)
        except sqlite3.IntegrityError:
            raise NameTakenError from None
        assert row is not None  # noqa: S101 - an INSERT returns its row
        return _person(row)


def _person(row: sqlite3.Row) -> Person:
    return Person(row["id"], row["name"], SCOPES[row["role"]], role=row["role"])
