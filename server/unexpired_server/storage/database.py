"""Connections to SQLite or PostgreSQL; every outage becomes ``Unavailable``."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, Executable, Row, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from unexpired_server.errors import Unavailable
from unexpired_server.extras import require
from unexpired_server.settings import SettingsError
from unexpired_server.storage import group_commit, migrate
from unexpired_server.storage.group_commit import GroupCommit

BUSY_SECONDS = 2.0
"""How long SQLite waits for another writer."""

TIMEOUT_SECONDS = 5.0
"""How long a request waits for the database before the response is 503."""

CONNECTIONS = 15
"""The most that one node opens. They stay open: opening one takes as long as a hundred queries."""

POSTGRES_DRIVER = "postgresql+asyncpg"

OUTAGES = (DBAPIError, PoolTimeoutError, OSError, TimeoutError)

Result = TypeVar("Result")
Work = Callable[[AsyncConnection], Awaitable[Result]]


class Database:
    """Runs work on connections; every failure to reach the data raises ``Unavailable``.

    Args:
        url: A SQLAlchemy URL.

    Raises:
        SettingsError: The URL is malformed, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self._is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _engine(self._url)
        self._group_commit = GroupCommit(_sync_engine(self._url)) if self._is_sqlite else None
        isolation = "SERIALIZABLE" if self._is_sqlite else "READ COMMITTED"
        self._transactional = self._engine.execution_options(isolation_level=isolation)
        self._pending: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Bring a SQLite file up to date; check that PostgreSQL's tables already are.

        Raises:
            SettingsError: The file cannot be created, or PostgreSQL needs a migration.
            Unavailable: The database is locked, slow or down.
        """
        if self._is_sqlite:
            await self.migrate()
        elif not await self.is_current():
            raise SettingsError(
                "The database's tables are not those of this version; run: unexpired-server migrate"
            )

    async def migrate(self) -> None:
        """Bring the tables up to date.

        Raises:
            SettingsError: The SQLite file cannot be created.
            Unavailable: The database is locked, slow or down.
        """
        if not self._is_sqlite:
            await self.transaction(lambda connection: connection.run_sync(migrate.upgrade))
            return
        _make_private_file(Path(self._url.database or ""))
        if not await self.is_current():
            await self.run(_migrate_sqlite)

    async def is_current(self) -> bool:
        """Return whether the tables are those of this version.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        return await self.run(lambda connection: connection.run_sync(migrate.is_current))

    async def ping(self) -> None:
        """Run one query, to see that the database works.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        await self.rows(text("SELECT count(*) FROM (SELECT 1 FROM users LIMIT 1) AS one"))

    async def close(self) -> None:
        """Wait for running statements, then close every connection."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=TIMEOUT_SECONDS)
        if self._group_commit:
            self._group_commit.close()
        await self._engine.dispose()

    async def rows(self, statement: Executable) -> Sequence[Row[Any]]:
        """Execute and commit one statement; return its rows.

        Raises:
            Unavailable: The database is locked, slow or down.
        """

        async def work(connection: AsyncConnection) -> Sequence[Row[Any]]:
            result = await connection.execute(statement)
            return result.all() if result.returns_rows else []

        return await self.run(work)

    async def run(self, work: Work[Result]) -> Result:
        """Run work on a connection that commits each statement by itself.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        return await self._with_timeout(_on(self._engine.connect(), work))

    async def transaction(self, work: Work[Result]) -> Result:
        """Run work whose statements are committed together or not at all.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        return await self._with_timeout(_on(self._transactional.begin(), work))

    async def grouped(self, work: group_commit.Work[Result]) -> Result:
        """Run short, frequent work; on SQLite it shares its commit with other work.

        On SQLite the work may run twice, the first time in a transaction that is rolled back.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        if self._group_commit:
            return await self._with_timeout(self._group_commit.run(work))
        return await self.run(lambda connection: connection.run_sync(work))

    async def _with_timeout(self, work: Awaitable[Result]) -> Result:
        # In a task of its own that is never cancelled: a driver that hangs cannot be interrupted,
        # and cancelling one in a statement leaves its connection in an unknown state. Only the
        # waiting ends; the statement runs to its end and takes effect.
        task = asyncio.ensure_future(work)
        self._pending.add(task)
        task.add_done_callback(self._finished)
        await asyncio.wait({task}, timeout=TIMEOUT_SECONDS)
        if not task.done():
            raise Unavailable
        try:
            return task.result()
        except (IntegrityError, DataError):
            raise  # The statement is at fault, not the database.
        except OUTAGES as exc:
            raise Unavailable from exc

    def _finished(self, task: asyncio.Future[Any]) -> None:
        self._pending.discard(task)
        # Nobody may be waiting any more, and asyncio warns about unretrieved exceptions.
        task.cancelled() or task.exception()


async def _on(opened: AbstractAsyncContextManager[AsyncConnection], work: Work[Result]) -> Result:
    async with opened as connection:
        return await work(connection)


async def _migrate_sqlite(connection: AsyncConnection) -> None:
    # Take the write lock first: of two processes that start at once, one migrates.
    await connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        await connection.run_sync(migrate.upgrade)
    except BaseException:
        await connection.exec_driver_sql("ROLLBACK")
        raise
    await connection.exec_driver_sql("COMMIT")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError("Setting database_url: is not a database URL") from None
    # People write the plain name, but only the async driver works here.
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": POSTGRES_DRIVER}
    return parsed.set(drivername=drivers.get(parsed.drivername, parsed.drivername))


def _options() -> dict[str, Any]:
    return {
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        "pool_size": CONNECTIONS,
        "max_overflow": 0,
        "pool_timeout": TIMEOUT_SECONDS,
        "hide_parameters": True,  # Keeps hashes and notes out of errors, and so out of logs.
    }


def _sync_engine(url: URL) -> Engine:
    arguments = {"timeout": BUSY_SECONDS}
    engine = create_engine(url.set(drivername="sqlite"), connect_args=arguments, **_options())
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        return _server_engine(url)
    engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS}, **_options())
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _server_engine(url: URL) -> AsyncEngine:
    if url.drivername == POSTGRES_DRIVER:
        require("asyncpg", "postgres", "PostgreSQL")
    # A connection whose server went silent must not occupy the pool.
    timeouts = {"timeout": TIMEOUT_SECONDS, "command_timeout": TIMEOUT_SECONDS}
    try:
        return create_async_engine(url, pool_pre_ping=True, connect_args=timeouts, **_options())
    except (NoSuchModuleError, ModuleNotFoundError):
        raise SettingsError("Setting database_url: its driver is not installed") from None


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # A refresh must survive a power cut once the client has its response: the old token is used.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _make_private_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_wal_file(path)
        os.close(os.open(path, os.O_RDWR))
    except OSError as exc:
        raise SettingsError(f"{path} cannot be opened: {exc.strerror}") from None


def _make_wal_file(path: Path) -> None:
    # When several processes switch a new file to WAL at once, SQLite refuses all but one as
    # locked, whatever their timeout. So each creates its own file, and the first one wins.
    descriptor, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    os.close(descriptor)
    try:
        connection = sqlite3.connect(name)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
