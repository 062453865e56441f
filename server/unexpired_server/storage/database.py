"""The connection to SQLite or PostgreSQL, and what it means when there is none."""

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
from unexpired_server.settings import SettingsError
from unexpired_server.storage import group_commit, migrate
from unexpired_server.storage.group_commit import GroupCommit

BUSY_SECONDS = 2.0
"""How long SQLite waits for another writer."""

PATIENCE_SECONDS = 5.0
"""How long a request waits for the database at all; then it is answered with 503."""

CONNECTIONS = 15
"""How many one node has at most. All are kept: to open one takes as long as a hundred queries."""

OUTAGES = (DBAPIError, PoolTimeoutError, OSError, TimeoutError)

Result = TypeVar("Result")
Work = Callable[[AsyncConnection], Awaitable[Result]]


class Database:
    """Runs work on connections; every failure to reach the data becomes Unavailable.

    Args:
        url: A SQLAlchemy URL with an async driver.

    Raises:
        SettingsError: The URL is not one, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self._is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _engine(self._url)
        self._group_commit = GroupCommit(_sync_engine(self._url)) if self._is_sqlite else None
        isolation = "SERIALIZABLE" if self._is_sqlite else "READ COMMITTED"
        self._transactional = self._engine.execution_options(isolation_level=isolation)
        self._under_way: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Bring SQLite's file up to date; of PostgreSQL, see that somebody did.

        Raises:
            SettingsError: The file cannot be made, or `python -m server migrate` is needed.
            Unavailable: The database is locked, slow or down.
        """
        if self._is_sqlite:
            await self.migrate()
        elif not await self.is_current():
            raise SettingsError(
                "The database's tables are not those of this version; run: python -m server migrate"
            )

    async def migrate(self) -> None:
        """Bring the tables up to date.

        Raises:
            SettingsError: SQLite's file cannot be made.
            Unavailable: The database is locked, slow or down.
        """
        if not self._is_sqlite:
            await self.transaction(lambda connection: connection.run_sync(migrate.upgrade))
            return
        _make_private_file(Path(self._url.database or ""))
        if not await self.is_current():
            await self.run(_migrate_sqlite)

    async def is_current(self) -> bool:
        """Whether the database answers, and its tables are those of this version.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        return await self.run(lambda connection: connection.run_sync(migrate.is_current))

    async def answers(self) -> None:
        """See that the database answers.

        Raises:
            Unavailable: It does not.
        """
        await self.rows(text("SELECT count(*) FROM (SELECT 1 FROM users LIMIT 1) AS one"))

    async def close(self) -> None:
        """Let what is under way end, and close every connection."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=PATIENCE_SECONDS)
        if self._group_commit:
            self._group_commit.close()
        await self._engine.dispose()

    async def rows(self, statement: Executable) -> Sequence[Row[Any]]:
        """Execute one statement, and commit it.

        Raises:
            Unavailable: The database is locked, slow or down.
        """

        async def work(connection: AsyncConnection) -> Sequence[Row[Any]]:
            result = await connection.execute(statement)
            return result.all() if result.returns_rows else []

        return await self.run(work)

    async def run(self, work: Work[Result]) -> Result:
        """Run work on a connection on which every statement is committed by itself.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        return await self._patiently(_on(self._engine.connect(), work))

    async def transaction(self, work: Work[Result]) -> Result:
        """Run work whose statements are committed together, or not at all.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        return await self._patiently(_on(self._transactional.begin(), work))

    async def grouped(self, work: group_commit.Work[Result]) -> Result:
        """Run work whose statements stand on their own; on SQLite it shares its commit.

        For what is short and comes often. On SQLite it may be done twice, the first time in vain.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        if self._group_commit:
            return await self._patiently(self._group_commit.run(work))
        return await self.run(lambda connection: connection.run_sync(work))

    async def _patiently(self, job: Awaitable[Result]) -> Result:
        # In a task of its own, which nobody cancels: a driver that hangs cannot be interrupted,
        # and one that is cut off in a statement leaves its connection in an unknown state. The
        # one who waits gives up; the statement ends when it ends, and then it counts.
        task = asyncio.ensure_future(job)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not task.done():
            raise Unavailable
        try:
            return task.result()
        except (IntegrityError, DataError):
            raise  # They speak of the statement, not of the database's health.
        except OUTAGES as exc:
            raise Unavailable from exc

    def _ended(self, task: "asyncio.Future[Any]") -> None:
        self._under_way.discard(task)
        # Looked at, for whoever waited may be gone; else the loop complains.
        task.cancelled() or task.exception()


async def _on(opened: AbstractAsyncContextManager[AsyncConnection], work: Work[Result]) -> Result:
    async with opened as connection:
        return await work(connection)


async def _migrate_sqlite(connection: AsyncConnection) -> None:
    # The write lock first: of two processes that start at once, the second finds the work done.
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
    # People write the plain name; only the async driver works here.
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    return parsed.set(drivername=drivers.get(parsed.drivername, parsed.drivername))


def _options() -> dict[str, Any]:
    return {
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        "pool_size": CONNECTIONS,
        "max_overflow": 0,
        "pool_timeout": PATIENCE_SECONDS,
        "hide_parameters": True,  # Hashes and notes must not reach a log through an error.
    }


def _sync_engine(url: URL) -> Engine:
    waits = {"timeout": BUSY_SECONDS}
    engine = create_engine(url.set(drivername="sqlite"), connect_args=waits, **_options())
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _engine(url: URL) -> AsyncEngine:
    options = _options()
    try:
        if url.get_backend_name() != "sqlite":
            # A connection whose server went silent must not stay in the pool's way for ever.
            patience = {"timeout": PATIENCE_SECONDS, "command_timeout": PATIENCE_SECONDS}
            return create_async_engine(url, pool_pre_ping=True, connect_args=patience, **options)
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
        if not path.exists():
            _make_wal_file(path)
        os.close(os.open(path, os.O_RDWR))
    except OSError as exc:
        raise SettingsError(f"{path} cannot be opened: {exc.strerror}") from None


def _make_wal_file(path: Path) -> None:
    # Of processes that switch a new file to WAL at once, SQLite tells all but one at once that it
    # is locked, whatever they would wait. So each makes a file of its own, and the first counts.
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
