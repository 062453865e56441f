"""The data of a measured server: a folder, a database, a user, sessions and tokens."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.processes import OURS, Server, free_port, serving
from unexpired_server.sessions.refresh_tokens import RefreshTokens
from unexpired_server.sessions.rules import Session
from unexpired_server.sessions.users import Users
from unexpired_server.settings import Settings, load_settings
from unexpired_server.storage.database import Database
from unexpired_server.tokens.access_tokens import AccessTokens
from unexpired_server.tokens.key_file import new_secret
from unexpired_server.tokens.keys import KeyRing, load_ring

PASSWORD = "correct horse"
DAY = 86_400.0
BATCH = 10**6
"""Rows for one transaction: the write-ahead log of ten million would fill a small disk."""

RANDOM = {True: "abs(random())", False: "(random() * 2000000000)::integer"}
"""A random integer, in SQLite and in PostgreSQL."""

SQLITE_SESSIONS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
INSERT INTO sessions (id, user_id, counter, created_at, refreshed_at, device, address)
SELECT lower(hex(randomblob(16))), '{user}', 0, {at}, {at}, 'benchmark', '127.0.0.1' FROM numbers
"""
POSTGRES_SESSIONS = """
INSERT INTO sessions (id, user_id, counter, created_at, refreshed_at, device, address)
SELECT md5(random()::text || n), '{user}', 0, {at}, {at}, 'benchmark', '127.0.0.1'
FROM generate_series(1, {count}) AS n
"""

BIND = """
WITH bound(id, jkt) AS (VALUES {rows})
UPDATE sessions SET jkt = bound.jkt FROM bound WHERE bound.id = sessions.id
"""


@dataclass(frozen=True)
class World:
    """One database with the user ada, and what a server needs to serve it.

    Attributes:
        folder: For logs and files; temporary.
        settings: Of every server in this world.
        secret: The signing key, as text.
        user_id: Ada's.
    """

    folder: Path
    settings: Settings
    secret: str
    user_id: str

    @property
    def url(self) -> str:
        """The database's address."""
        return self.settings.database_url

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a SQLite file rather than a PostgreSQL database."""
        return self.url.startswith("sqlite")

    @property
    def ring(self) -> KeyRing:
        """The keys."""
        return load_ring(self.settings)

    def environment(self) -> dict[str, str]:
        """Return the environment of a server in this world."""
        return {
            "UNEXPIRED_DATABASE_URL": self.url,
            "UNEXPIRED_SECRET": self.secret,
            "UNEXPIRED_PAGE_DIR": str(self.folder),
            "SECRET_HEX": self.ring.active.secret.hex(),
        }

    @contextmanager
    def server(self, command: Sequence[str] = OURS, **variables: str) -> Iterator[Server]:
        """Run our server, with further variables."""
        port = free_port()
        variables = {**self.environment(), "UNEXPIRED_PORT": str(port), **variables}
        with serving(command, variables, port, self.folder / "ours.log") as server:
            yield server

    def access_tokens(self, count: int) -> list[str]:
        """Return access tokens of ada, each of a different session."""
        access = AccessTokens(self.ring, self.settings, time.time)
        ids = (secrets.token_hex(16) for _ in range(count))
        return [access.issue(self.user_id, sid, DAY).token for sid in ids]

    def add_sessions(self, count: int, at: float | None = None) -> None:
        """Store sessions of ada, last refreshed at a time: a minute ago when None."""
        statement = SQLITE_SESSIONS if self.is_sqlite else POSTGRES_SESSIONS
        at = time.time() - 60 if at is None else at
        for start in range(0, count, BATCH):
            batch = min(BATCH, count - start)
            self.ask(statement.format(count=batch, user=self.user_id, at=at))

    def refresh_tokens(self, count: int) -> list[str]:
        """Return refresh tokens of stored sessions, drawn from the whole table."""
        stored = self.ask("SELECT count(*) FROM sessions")[0][0]
        # Draws about four times as many as needed, so that a sample of them is large enough.
        chance = f"{RANDOM[self.is_sqlite]} % {max(1, stored // (4 * count))} = 0"
        drawn = random.sample(self.ask(f"SELECT id, counter FROM sessions WHERE {chance}"), count)
        tokens, now = RefreshTokens(self.ring), time.time()
        return [tokens.write(Session(id_, self.user_id, n, now, now)) for id_, n in drawn]

    def bind(self, keys: Mapping[str, str]) -> None:
        """Bind sessions to keys.

        Args:
            keys: The thumbprints, by the refresh tokens of the sessions.
        """
        read = RefreshTokens(self.ring).read
        claims = ((read(token), jkt) for token, jkt in keys.items())
        rows = [f"('{one.session_id}', '{jkt}')" for one, jkt in claims if one is not None]
        self.ask(BIND.format(rows=", ".join(rows)))

    def ask(self, statement: str) -> list[Any]:
        """Execute a statement in the database, without a time limit."""
        return asyncio.run(_ask(self.url, statement))


@contextmanager
def world(database_url: str | None = None) -> Iterator[World]:
    """Make an empty database with the user ada.

    Args:
        database_url: A fresh PostgreSQL database; a SQLite file when None.
    """
    with TemporaryDirectory(prefix="unexpired-benchmark-") as name:
        folder = Path(name)
        secret = new_secret()
        url = database_url or f"sqlite+aiosqlite:///{folder}/sessions.sqlite3"
        settings = load_settings(database_url=url, secret=secret, page_dir=folder)
        yield World(folder, settings, secret, asyncio.run(_add_ada(url)))


async def _add_ada(url: str) -> str:
    database = Database(url)
    try:
        await database.migrate()
        users = Users(database)
        await users.add("ada", PasswordHasher().hash(PASSWORD), time.time())
        ada = await users.find("ada")
        assert ada  # noqa: S101 - for the type checker
        return ada.id
    finally:
        await database.close()


async def _ask(url: str, statement: str) -> list[Any]:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        if url.startswith("sqlite"):
            # Two gigabytes of cache and no fsync: the data may be lost.
            await connection.exec_driver_sql("PRAGMA cache_size = -2000000")
            await connection.exec_driver_sql("PRAGMA synchronous = OFF")
        result = await connection.execute(text(statement))
        return list(result.all()) if result.returns_rows else []
