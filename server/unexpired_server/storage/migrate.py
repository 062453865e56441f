"""Migrations, and which versions of the code can serve on which tables.

A migration is a module in ``migrations/versions``; the code's version is the revision of its newest
one. Nodes of the version before must be able to serve while and after the tables change, and again
after a roll-back, so a migration declares how far back that is true:

.. code-block:: python

    revision = "0006"
    down_revision = "0005"
    oldest_code = "0005"  # Code of this revision still serves on these tables.
    oldest_tables = "0005"  # This code still serves on tables of that revision.

Both default to the migration's own revision: no other version can serve. ``oldest_code`` is written
into the database, for nodes that do not have the migration; ``oldest_tables`` counts only in the
newest migration.

On PostgreSQL each migration is a transaction of its own: it happens entirely or not at all, and
``migrate`` continues where it stopped. No statement waits more than a few seconds for a lock,
because all requests would wait behind it; the migration is tried again instead. What cannot run in
a transaction, or would hold locks for long, goes through ``create_index`` and ``in_batches``, and
must come last in its migration and be able to run twice.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import Script, ScriptDirectory
from sqlalchemy import (
    Column,
    Connection,
    NullPool,
    String,
    Table,
    delete,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

from unexpired_server.settings import SettingsError
from unexpired_server.storage import failures, postgres, tables
from unexpired_server.storage.database_url import PostgresServer
from unexpired_server.storage.schema import metadata
from unexpired_server.storage.tables import TablesError

logger: logging.Logger = logging.getLogger("unexpired.server")

LOCK = 0x756E6578
"""The advisory lock for migrations on PostgreSQL; any number that nothing else there uses."""

CONNECT_SECONDS = 10.0

LOCK_SECONDS = 3
"""How long a statement waits for a table, while requests wait behind it."""

PAUSE_SECONDS = 1.0
"""Between two attempts, for the requests."""

ATTEMPTS = 60
"""How often a migration is tried when tables are in use."""

BATCH = 5000
"""Rows in one statement of ``in_batches``."""

NEWER = "The tables are newer than this version, which can serve on them; there is nothing to do."

versions: Table = Table(
    "schema_versions",
    metadata,
    Column("revision", String(32), primary_key=True),
    Column("oldest_code", String(32), nullable=False),
)
"""For each revision of the tables, the oldest code that can serve on them."""


def problem(connection: Connection) -> str | None:
    """Return why this version cannot serve on these tables; None when it can."""
    found = tables.revision(connection)
    history = _history()
    if found in history:
        oldest = getattr(_head().module, "oldest_tables", _head().revision)
        return None if history.index(found) >= history.index(oldest) else _outdated()
    if found is None:
        return _outdated()
    if _oldest_code(connection, found) in history:
        return None
    return (
        f"The database's tables ({found}) are newer than this version ({_head().revision}), which "
        "cannot serve on them; run a newer version"
    )


def upgrade(connection: Connection) -> str:
    """Apply every migration that this database lacks; return what is now true, as a sentence.

    Args:
        connection: In a transaction that the caller commits, or in none: then each migration is a
            transaction of its own.

    Raises:
        TablesError: The tables are newer, and this version cannot serve on them.
    """
    found = tables.revision(connection)
    if found is not None and found not in _history():
        if reason := problem(connection):
            raise TablesError(reason)
        return NEWER
    if connection.dialect.name == "postgresql":
        connection.rollback()  # Alembic begins a transaction for each migration.
    config = _config(tables.FOLDER)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return tables.UP_TO_DATE


async def upgrade_postgres(server: PostgresServer) -> str:
    """Apply every migration that a PostgreSQL database lacks, on connections without a time-out.

    Returns:
        What is now true, as a sentence.

    Raises:
        SettingsError: The tables are newer, stay in use, or the user may not change them.
    """
    connector = postgres.Connector(server, CONNECT_SECONDS, None)
    engine = postgres.make_engine(connector, is_pooled=True, poolclass=NullPool)
    event.listen(engine.sync_engine, "begin", _bound_locks)
    try:
        async with _only_one(engine):
            return await _upgrade_patiently(engine)
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise
        raise SettingsError(
            f"The migration failed, and changed nothing of its own: {failures.describe(exc)}"
        ) from exc
    finally:
        await engine.dispose()


async def _upgrade_patiently(engine: AsyncEngine) -> str:
    for _ in range(ATTEMPTS):
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(upgrade)
        except DBAPIError as exc:
            if failures.code_of(exc) not in {failures.LOCK_TIMEOUT, failures.DEADLOCK}:
                raise
            logger.warning("a migration waits for tables that are in use; trying again")
        await asyncio.sleep(PAUSE_SECONDS)
    raise SettingsError("The tables are in use all the time; run migrate again later")


@asynccontextmanager
async def _only_one(engine: AsyncEngine) -> AsyncIterator[None]:
    """Hold the lock of migrations, in a transaction: a pooler keeps those on one connection.

    It is asked for again and again. A statement that waits for it would keep an index from being
    built concurrently, which in turn waits for the statements of all others.
    """
    ask = text(f"SELECT pg_try_advisory_xact_lock({LOCK})")
    is_first = True
    while True:
        async with engine.begin() as connection:
            if (await connection.execute(ask)).scalar():
                # Nothing is asked on it while the migrations run.
                await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                yield
                return
        if is_first:
            logger.warning("another process migrates this database; waiting for it")
        is_first = False
        await asyncio.sleep(PAUSE_SECONDS)


def declare(ctx: MigrationContext, step: MigrationInfo, *_more: object, **_named: object) -> None:
    """Record which code can serve on the tables of a migration; part of its transaction."""
    connection, script = ctx.connection, step.up_revision
    if connection is None or not isinstance(script, Script):
        return
    versions.create(connection, checkfirst=True)
    oldest = getattr(script.module, "oldest_code", script.revision)
    connection.execute(delete(versions).where(versions.c.revision == script.revision))
    connection.execute(insert(versions).values(revision=script.revision, oldest_code=oldest))


def create_index(name: str, table: str, columns: str, *, where: str = "") -> None:
    """Create an index while others read and write the table; for migrations.

    Args:
        name: The index.
        table: Its table.
        columns: Columns or expressions, separated by commas, as SQL.
        where: The condition of a partial index, as SQL.
    """
    condition = f" WHERE {where}" if where else ""
    if op.get_bind().dialect.name != "postgresql":
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {table} ({columns}){condition}")
        return
    # An attempt that was interrupted leaves an index that is never used.
    run_outside(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    run_outside(f"CREATE INDEX CONCURRENTLY {name} ON {table} ({columns}){condition}")


def drop_index(name: str) -> None:
    """Drop an index while others read and write its table; for migrations."""
    if op.get_bind().dialect.name != "postgresql":
        op.execute(f"DROP INDEX IF EXISTS {name}")
    else:
        run_outside(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def in_batches(statement: str) -> None:
    """Repeat a statement until it changes no row, each time in a short transaction of its own.

    Args:
        statement: SQL with ``:batch``, the most rows that one run may change.
    """
    batch = statement.replace(":batch", str(BATCH))
    while run_outside(batch):
        pass


def run_outside(statement: str) -> int:
    """Run a statement outside the migration's transaction; return how many rows it changed.

    What the migration did before is committed, although the migration is not complete yet.
    """
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return connection.exec_driver_sql(statement).rowcount
    with op.get_context().autocommit_block():
        bind = op.get_bind()
        driver: Any = bind.connection.driver_connection
        # As text, in one message: a pooler may send the parts of a prepared one to two servers.
        tag: str = await_only(driver.execute(statement))
    count = re.search(r"\d+$", tag)
    return int(count[0]) if count else 0


def _bound_locks(connection: Connection) -> None:
    # Not for statements outside a transaction: an index that is built concurrently waits for all
    # others, which do not wait for it.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")


def _oldest_code(connection: Connection, revision: str) -> str | None:
    if not inspect(connection).has_table(versions.name):
        return None
    query = select(versions.c.oldest_code).where(versions.c.revision == revision)
    return connection.execute(query).scalar()


def _outdated() -> str:
    return "The database's tables are not those of this version; run: unexpired-server migrate"


def _head() -> Script:
    scripts = _scripts(tables.FOLDER)
    return scripts.get_revision(scripts.get_current_head() or "base")


def _history() -> list[str]:
    """Return the revisions that this version knows, oldest first."""
    return [script.revision for script in _scripts(tables.FOLDER).walk_revisions()][::-1]


@cache
def _scripts(folder: Path) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(folder))


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
