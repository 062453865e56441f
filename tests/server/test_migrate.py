"""The tables: made step by step, the same by every way, on every kind of store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from click.testing import CliRunner
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.server.stores import Postgres, rows
from unexpired_server.cli import main
from unexpired_server.sessions.users import Users
from unexpired_server.settings import SettingsError
from unexpired_server.storage.database import Database
from unexpired_server.storage.schema import metadata

STORES = ("sqlite", "postgres")


@pytest.fixture
def empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without a table."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/new.sqlite3"
        return
    if trouble := Postgres.trouble():
        pytest.skip(trouble)
    database = Postgres()
    asyncio.run(database.admin("CREATE DATABASE {name}"))
    yield database.address
    database.drop()


@pytest.mark.parametrize("empty_store", STORES, indirect=True)
def test_the_steps_lead_to_the_tables_that_the_code_works_with_and_can_be_repeated(
    empty_store: str,
) -> None:
    for _ in range(2):
        result = CliRunner().invoke(main, ["migrate", "--database-url", empty_store])
        assert (result.exit_code, result.stdout) == (0, "The tables are up to date.\n")
    assert asyncio.run(differences(empty_store)) == []


async def differences(url: str) -> list[Any]:
    def compare(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async def work(connection: AsyncConnection) -> list[Any]:
        return await connection.run_sync(compare)

    database = Database(url)
    try:
        return await database.run(work)
    finally:
        await database.close()


@pytest.mark.parametrize("empty_store", STORES, indirect=True)
async def test_of_processes_that_migrate_at_once_one_does_the_work(empty_store: str) -> None:
    databases = [Database(empty_store) for _ in range(4)]
    try:
        await asyncio.gather(*(database.migrate() for database in databases))
        assert all([await database.is_current() for database in databases])
    finally:
        for database in databases:
            await database.close()


async def test_a_file_of_the_first_version_is_taken_over_with_what_is_in_it(
    tmp_path: Path,
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/old.sqlite3"
    database = Database(url)
    await database.migrate()
    await Users(database).add("ada", "hash", 1)
    await rows(url, "INSERT INTO events (at, kind, user_id) VALUES (1, 'x', 'u')")

    async def forget(connection: AsyncConnection) -> None:
        for statement in (
            "DROP TABLE alembic_version",
            "DROP INDEX ix_events_at",
            "ALTER TABLE events DROP COLUMN address",
            "ALTER TABLE sessions DROP COLUMN address",
        ):
            await connection.execute(text(statement))

    await database.run(forget)
    await database.open()
    assert await Users(database).find("ada")
    assert await rows(url, "SELECT kind, address FROM events") == [("x", None)]
    await database.close()


@pytest.mark.parametrize("empty_store", ["postgres"], indirect=True)
async def test_a_postgres_that_was_not_migrated_stops_the_server_with_the_command(
    empty_store: str,
) -> None:
    database = Database(empty_store)
    with pytest.raises(SettingsError, match="unexpired-server migrate"):
        await database.open()
    await database.close()


async def test_a_migration_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/new.sqlite3"

    def fail(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")
        raise RuntimeError

    monkeypatch.setattr("unexpired_server.storage.migrate.upgrade", fail)
    database = Database(url)
    with pytest.raises(RuntimeError):
        await database.migrate()
    await database.close()
    assert await rows(url, "SELECT name FROM sqlite_master") == []
