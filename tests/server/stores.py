"""The two databases that the server's tests run on."""

import asyncio
import os
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import NullPool, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.server.harness import HASHER, PASSWORD
from tests.support.clock import START
from unexpired_server.sessions.passwords import Passwords
from unexpired_server.sessions.users import Users
from unexpired_server.storage.database import Database

POSTGRES = os.environ.get(
    "UNEXPIRED_TEST_POSTGRES", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres"
)
"""A database whose user may create others; each run of the tests creates its own."""

DEFAULT_STORE = os.environ.get("UNEXPIRED_TEST_STORE", "sqlite")
"""The store of tests without STORES: "sqlite" or "postgres"."""

PASSWORD_HASH = Passwords(HASHER).hash(PASSWORD)

TABLES = ("identities", "sign_in_codes", "idempotency_keys", "notes", "events", "sessions")


def engine_of(url: str | URL) -> AsyncEngine:
    return create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)


async def rows(url: str | URL, query: str) -> list[tuple[Any, ...]]:
    """Query a database directly, without the server."""
    async with engine_of(url).connect() as connection:
        result = await connection.execute(text(query))
        return [tuple(row) for row in result] if result.returns_rows else []


async def fill(url: str) -> None:
    """Create the tables, and the users ada and bob."""
    database = Database(url)
    try:
        await database.migrate()
        for username in ("ada", "bob"):
            await Users(database).add(username, PASSWORD_HASH, START)
    finally:
        await database.close()


class Postgres:
    """A PostgreSQL database that is created for one run of the tests."""

    def __init__(self) -> None:
        self.name = f"unexpired_test_{uuid.uuid4().hex[:12]}"
        self.url = make_url(POSTGRES).set(database=self.name)

    @staticmethod
    def trouble() -> str | None:
        """Return why there is no PostgreSQL to test with, or None."""
        try:
            asyncio.run(rows(POSTGRES, "SELECT 1"))
        except Exception as exc:  # noqa: BLE001 - whatever is wrong, the tests say it and go on
            return f"no PostgreSQL at UNEXPIRED_TEST_POSTGRES or localhost ({type(exc).__name__})"
        return None

    @property
    def address(self) -> str:
        return self.url.render_as_string(hide_password=False)

    def create(self) -> None:
        asyncio.run(self.admin("CREATE DATABASE {name}"))
        asyncio.run(fill(self.address))

    def drop(self) -> None:
        asyncio.run(self.admin("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))

    async def admin(self, statement: str) -> None:
        await rows(POSTGRES, statement.format(name=self.name))

    async def empty(self, users: Sequence[str] = ("ada", "bob")) -> None:
        """Restore the state of a new database."""
        names = ", ".join(f"'{name}'" for name in users)
        statements = [f"DELETE FROM {table}" for table in TABLES]  # noqa: S608 - our own names
        statements += [
            f"DELETE FROM users WHERE username NOT IN ({names})",  # noqa: S608
            "UPDATE users SET disabled_at = NULL, scopes = '', password_hash = :password_hash",
        ]
        async with engine_of(self.url).connect() as connection:
            for statement in statements:
                values = {"password_hash": PASSWORD_HASH} if ":password" in statement else {}
                await connection.execute(text(statement), values)
