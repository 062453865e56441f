"""Connections to SQLite or PostgreSQL; every outage becomes ``Unavailable``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Engine, Executable, Row, Select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import greenlet_spawn

from unexpired_server.errors import Unavailable
from unexpired_server.extras import require
from unexpired_server.storage import failures, group_commit, postgres, sqlite, tables
from unexpired_server.storage.database_url import PostgresServer, SQLiteFile, parse
from unexpired_server.storage.engines import OpenFile
from unexpired_server.storage.failures import FailureLog
from unexpired_server.storage.group_commit import GroupCommit
from unexpired_server.storage.prepared import executed_by

if TYPE_CHECKING:  # See ``storage.engines``.
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

logger: logging.Logger = logging.getLogger("unexpired.server")

BUSY_SECONDS = 2.0
"""How long SQLite waits for another writer."""

TIMEOUT_SECONDS = 5.0
"""How long a request waits for the database before the response is 503."""

CONNECTIONS = 15
"""The most that one process opens, where the settings name no other number. They stay open: opening
one takes as long as a hundred queries."""

MAX_ATTEMPTS = 3
"""Of one piece of work: a pooler may be found first, then a connection that is dead."""

STATE = text(
    "SELECT pg_is_in_recovery() AS is_standby, "
    "current_setting('transaction_read_only') = 'on' AS is_read_only, "
    "EXISTS (SELECT FROM pg_proc WHERE proname = 'pg_logical_emit_message') AS has_messages"
)

# Sorting more than fits into memory writes a temporary file: unlike a row, which fits into what the
# tables have already reserved, it shows a full disk.
SMALL_MEMORY = text("SET LOCAL work_mem = '64kB'")
USE_DISK = text(
    "SELECT count(*) FROM "
    "(SELECT n FROM generate_series(1, 5000) AS n ORDER BY md5(n::text)) AS sorted"
)

# Its commit waits for the log and for synchronous replicas, as that of a row does.
WRITE = text("SELECT pg_logical_emit_message(true, 'unexpired', 'health'::text)")

Result = TypeVar("Result")
Work = Callable[["AsyncConnection"], Awaitable[Result]]


class _NotCommittedError(Exception):
    """Work failed before its commit, so the database has forgotten all of it."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


class Database:
    """Runs work on connections; every failure to reach the data raises ``Unavailable``.

    Work that failed because its connection was dead runs once more on another one where that does
    no harm: a query, work that the caller calls repeatable, and a transaction that was not being
    committed yet.

    Args:
        url: Of SQLite or PostgreSQL.
        pool_size: The most connections that are open at once.
        on_failure: Called with a label for each failure of the database, to count them.
        open_file: Opens a SQLite file.

    Raises:
        SettingsError: The URL cannot be used, or its driver is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = CONNECTIONS,
        on_failure: Callable[[str], None] = lambda _label: None,
        open_file: OpenFile = sqlite.open_file,
    ) -> None:
        self._place = parse(url)
        self._failures = FailureLog(on_failure)
        self._pending: set[asyncio.Future[Any]] = set()
        self._group_commit: GroupCommit | None = None
        self._quick: Engine | None = None
        self._pooled: AsyncEngine | None = None
        self._needs_transactions = False
        options = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": TIMEOUT_SECONDS}
        if isinstance(self._place, SQLiteFile):
            self._use_file(self._place, options, open_file)
        else:
            self._use_server(self._place, options)

    def _use_file(self, file: SQLiteFile, options: dict[str, Any], open_file: OpenFile) -> None:
        options |= {
            "isolation_level": "AUTOCOMMIT",
            "skip_autocommit_rollback": True,
            "hide_parameters": True,  # Keeps hashes and notes out of errors, and so out of logs.
        }
        engines = open_file(file, BUSY_SECONDS, options)
        self._engine, self._group_commit = engines.statements, engines.group_commit
        self._transactional = self._engine.execution_options(isolation_level="SERIALIZABLE")

    def _use_server(self, server: PostgresServer, options: dict[str, Any]) -> None:
        require("asyncpg", "postgres", "PostgreSQL")
        # A connection whose server went silent must not occupy the pool.
        connector = postgres.Connector(server, TIMEOUT_SECONDS, TIMEOUT_SECONDS)
        self._engine = postgres.make_engine(
            connector, is_pooled=False, skip_autocommit_rollback=True, **options
        )
        self._transactional = self._engine.execution_options(isolation_level="READ COMMITTED")
        self._pooled = postgres.make_engine(connector, is_pooled=True, **options)
        guard = postgres.PoolGuard()
        guard.watch(self._engine)
        postgres.PoolGuard().watch(self._pooled)
        self._quick = executed_by(guard.fetch, self._engine.sync_engine)
        if server.is_pooled:
            self._use_transactions()

    def _use_transactions(self) -> None:
        if self._pooled and not self._needs_transactions:
            self._needs_transactions = True
            self._transactional = self._pooled
            logger.info("the database is behind a pooler: every statement gets a transaction")

    @property
    def connections(self) -> int:
        """How many connections are in use."""
        engines = (self._engine, self._pooled)
        pools: list[Any] = [engine.sync_engine.pool for engine in engines if engine]
        return sum(pool.checkedout() for pool in pools)

    @property
    def pending(self) -> int:
        """How much work runs on a connection, or waits for one."""
        return len(self._pending)

    async def open(self) -> None:
        """Bring a SQLite file up to date; check that PostgreSQL's tables can be served.

        Raises:
            TablesError: The tables are too old or too new for this version.
            SettingsError: The file cannot be created.
            Unavailable: The database is locked, slow or down.
        """
        if isinstance(self._place, SQLiteFile):
            await self.migrate()
        elif reason := await self.tables_problem():
            raise tables.TablesError(reason)

    async def migrate(self) -> str:
        """Bring the tables up to date; return what is now true, as a sentence.

        Raises:
            TablesError: The tables are newer, and this version cannot serve on them.
            SettingsError: The file cannot be created, or the tables cannot be changed.
            Unavailable: The database is locked, slow or down.
        """
        if isinstance(self._place, PostgresServer):
            from unexpired_server.storage import migrate  # noqa: PLC0415 - see ``tables``

            return await self._watched(migrate.upgrade_postgres(self._place))
        sqlite.make_private(self._place.path)
        if await self.is_current():
            return tables.UP_TO_DATE
        return await self.run(_migrate_sqlite)

    async def is_current(self) -> bool:
        """Return whether the tables are exactly those of this version.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        return await self.run(lambda one: one.run_sync(tables.is_current), is_repeatable=True)

    async def tables_problem(self) -> str | None:
        """Return why this version cannot serve on the tables, as a sentence; None when it can.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        if await self.is_current():
            return None
        from unexpired_server.storage import migrate  # noqa: PLC0415 - see ``tables``

        return await self.run(lambda one: one.run_sync(migrate.problem), is_repeatable=True)

    async def problem(self) -> str | None:
        """Try to write; return why this server cannot work with its database, or None.

        The reason is a sentence with the database's code of the error. It contains no address.
        """
        try:
            return await self._try_to_write() or await self.tables_problem()
        except Unavailable as exc:
            reason = exc.__cause__ or TimeoutError()
            return f"The database fails: {failures.describe(reason)}"

    async def ping(self) -> None:
        """Try to write, to see that the database works.

        Raises:
            Unavailable: It does not.
        """
        if await self.problem():
            raise Unavailable

    async def close(self) -> None:
        """Wait for running statements, then close every connection."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=TIMEOUT_SECONDS)
        if self._group_commit:
            self._group_commit.close()
        await self._engine.dispose()
        if self._pooled:
            await self._pooled.dispose()

    async def rows(
        self, statement: Executable, *, is_repeatable: bool | None = None
    ) -> Sequence[Row[Any]]:
        """Execute and commit one statement; return its rows.

        Args:
            statement: The statement.
            is_repeatable: Whether executing it twice does no harm; when None, only if it reads.

        Raises:
            Unavailable: The database is locked, slow or down.
        """

        async def work(connection: AsyncConnection) -> Sequence[Row[Any]]:
            result = await connection.execute(statement)
            return result.all() if result.returns_rows else []

        reads = isinstance(statement, Select) if is_repeatable is None else is_repeatable
        return await self.run(work, is_repeatable=reads)

    async def run(self, work: Work[Result], *, is_repeatable: bool = False) -> Result:
        """Run work on a connection that commits each statement by itself.

        Behind a pooler the statements are committed together.

        Args:
            work: The work.
            is_repeatable: Whether running it twice does no harm.

        Raises:
            Unavailable: The database is locked, slow or down.
        """

        async def attempt() -> Result:
            if self._needs_transactions:
                return await self._transact(work)
            async with self._engine.connect() as connection:
                return await work(connection)

        return await self._with_timeout(lambda: self._attempt(attempt, is_repeatable=is_repeatable))

    async def transaction(self, work: Work[Result]) -> Result:
        """Run work whose statements are committed together or not at all.

        The work may run twice, the first time in a transaction that is rolled back.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        return await self._with_timeout(
            lambda: self._attempt(lambda: self._transact(work), is_repeatable=False)
        )

    async def grouped(self, work: group_commit.Work[Result]) -> Result:
        """Run short, frequent work; on SQLite it shares its commit with other work.

        The work may run twice. On SQLite the first time is in a transaction that is rolled back;
        on PostgreSQL its result may have been lost with the connection, so running it again after
        it took effect must do no harm, as with a compare and set.

        Raises:
            Unavailable: The database is locked, slow or down.
        """
        if self._group_commit:
            return await self._with_timeout(partial(self._group_commit.run, work))
        return await self._with_timeout(
            lambda: self._attempt(lambda: self._at_once(work), is_repeatable=True)
        )

    async def _at_once(self, work: group_commit.Work[Result]) -> Result:
        if self._quick is None or self._needs_transactions:
            return await self._transact(lambda one: one.run_sync(work))
        # An AsyncConnection switches to SQLAlchemy's own stack three times, and closes itself in a
        # task of its own, because it may be cancelled; this cannot be.
        return await greenlet_spawn(_on_connection, self._quick, work)

    async def _transact(self, work: Work[Result]) -> Result:
        async with self._transactional.connect() as connection:
            try:
                result = await work(connection)
            except failures.FAILED_WORK as exc:
                raise _NotCommittedError(exc) from exc
            await connection.commit()
            return result

    async def _attempt(
        self, attempt: Callable[[], Awaitable[Result]], *, is_repeatable: bool
    ) -> Result:
        """Run it, and again where the connection was at fault and that does no harm."""
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                return await attempt()
            except postgres.PoolerFoundError:
                self._use_transactions()
            except _NotCommittedError as exc:
                if not failures.may_run_again(exc.cause):
                    raise exc.cause from None
            except failures.FAILED_WORK as exc:
                if not is_repeatable or not failures.may_run_again(exc):
                    raise
        try:
            return await attempt()
        except _NotCommittedError as exc:
            raise exc.cause from None

    async def _try_to_write(self) -> str | None:
        if isinstance(self._place, SQLiteFile):
            return await self._try_file(self._place.path)
        return await self.transaction(_try_server)

    async def _try_file(self, path: Path) -> str | None:
        try:
            await asyncio.to_thread(sqlite.try_disk, path)
        except OSError as exc:
            return f"The database's disk cannot be written to: {exc.strerror}"
        await self.run(_try_lock)
        return None

    async def _with_timeout(self, start: Callable[[], Awaitable[Result]]) -> Result:
        # In a future of its own that is never cancelled: a driver that hangs cannot be interrupted,
        # and cancelling one in a statement leaves its connection in an unknown state. Only the
        # waiting ends; the statement runs to its end and takes effect.
        running = asyncio.ensure_future(start())
        self._pending.add(running)
        running.add_done_callback(self._finished)
        if not await _is_done_within(TIMEOUT_SECONDS, running):
            self._failures.failed(TimeoutError())
            raise Unavailable
        return await self._watched(running)

    async def _watched(self, work: Awaitable[Result]) -> Result:
        """Await work; log and count its failure, and raise ``Unavailable`` in its place."""
        try:
            result = await work
        except failures.OUTAGES as exc:
            if not failures.is_outage(exc):
                raise  # The statement is at fault, not the database.
            self._failures.failed(exc)
            raise Unavailable from exc
        self._failures.succeeded()
        return result

    def _finished(self, task: asyncio.Future[Any]) -> None:
        self._pending.discard(task)
        # Nobody may be waiting any more, and asyncio warns about unretrieved exceptions.
        task.cancelled() or task.exception()


async def _is_done_within(seconds: float, running: asyncio.Future[Any]) -> bool:
    """Wait for a future, but not for long; being cancelled does not cancel it."""
    # As ``asyncio.wait`` for one future, which took 38 µs more: a tenth of a refresh.
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake(_done: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    running.add_done_callback(wake)
    timer = loop.call_later(seconds, wake)
    try:
        await woken
    finally:
        timer.cancel()
        running.remove_done_callback(wake)
    return running.done()


def _on_connection(engine: Engine, work: group_commit.Work[Result]) -> Result:
    with engine.connect() as connection:
        return work(connection)


async def _migrate_sqlite(connection: AsyncConnection) -> str:
    from unexpired_server.storage import migrate  # noqa: PLC0415 - see ``tables``

    # Take the write lock first: of two processes that start at once, one migrates.
    async with _write_lock(connection):
        return await connection.run_sync(migrate.upgrade)


async def _try_lock(connection: AsyncConnection) -> None:
    async with _write_lock(connection):
        version = (await connection.exec_driver_sql("PRAGMA user_version")).scalar()
        # Writes the file's first page and changes nothing.
        await connection.exec_driver_sql(f"PRAGMA user_version = {version}")


@asynccontextmanager
async def _write_lock(connection: AsyncConnection) -> AsyncIterator[None]:
    await connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
        await connection.exec_driver_sql("COMMIT")
    except BaseException:
        with suppress(DBAPIError):  # On some errors SQLite has already rolled back.
            await connection.exec_driver_sql("ROLLBACK")
        raise


async def _try_server(connection: AsyncConnection) -> str | None:
    state = (await connection.execute(STATE)).one()
    if state.is_standby or state.is_read_only:
        what = "a standby" if state.is_standby else "read-only"
        return f"The database is {what}: it accepts no writes ({failures.READ_ONLY})"
    await connection.execute(SMALL_MEMORY)
    await connection.execute(USE_DISK)
    if state.has_messages:
        await connection.execute(WRITE)
    return None
