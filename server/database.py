"""The connection to SQLite or PostgreSQL, and what it means when there is none."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from server.errors import Unavailable
from server.schema import metadata
from server.settings import SettingsError

BUSY_SECONDS = 2.0
"""How long SQLite waits for another writer."""

PATIENCE_SECONDS = 5.0
"""How long a request waits for the database at all; then it is answered with 503."""


class Database:
    """Hands out connections; every failure to reach the data becomes Unavailable.

    Args:
        url: A SQLAlchemy URL with an async driver.

    Raises:
        SettingsError: The URL is not one, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self._engine = _engine(self._url)

    async def open(self) -> None:
        """Make the file and the tables where they are missing."""
        if self._url.get_backend_name() == "sqlite":
            _make_private_file(Path(self._url.database or ""))
        async with self.transaction() as connection:
            await connection.run_sync(metadata.create_all)

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which every statement is committed by itself.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        async with _patience(), self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose statements are committed together, or not at all.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        serializable = self._engine.execution_options(isolation_level="SERIALIZABLE")
        async with _patience(), serializable.begin() as connection:
            yield connection


@asynccontextmanager
async def _patience() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield
    except (IntegrityError, DataError, ProgrammingError):
        raise  # They speak of the statement, not of the database's health.
    except (DBAPIError, PoolTimeoutError, OSError, TimeoutError) as exc:
        raise Unavailable from exc


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError("Setting database_url: is not a database URL") from None
    # People write the plain name; only the async driver works here.
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    return parsed.set(drivername=drivers.get(parsed.drivername, parsed.drivername))


def _engine(url: URL) -> AsyncEngine:
    options: dict[str, Any] = {
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        "pool_timeout": PATIENCE_SECONDS,
        "hide_parameters": True,  # Hashes and notes must not reach a log through an error.
    }
    try:
        if url.get_backend_name() != "sqlite":
            return create_async_engine(url, pool_pre_ping=True, **options)
        engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS}, **options)
    except (NoSuchModuleError, ModuleNotFoundError):
        raise SettingsError("Setting database_url: its driver is not installed") from None
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # A refresh that was answered must survive a power cut: its old token is used up.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _make_private_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as exc:
        raise SettingsError(f"{path} cannot be opened: {exc.strerror}") from None
