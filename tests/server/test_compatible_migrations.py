"""Nodes of two versions on one database: a migration while they serve, and a roll-back."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import indent

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.server import stores
from tests.server.stores import Postgres, engine_of, rows
from unexpired_server.cli import main
from unexpired_server.errors import Unavailable
from unexpired_server.settings import SettingsError
from unexpired_server.storage import database as database_module
from unexpired_server.storage import migrate, tables
from unexpired_server.storage.database import Database
from unexpired_server.storage.tables import TablesError

HEAD = migrate._head().revision  # noqa: SLF001 - whatever the newest migration is
NEXT = "9001"

MODULE = """
import sqlalchemy as sa
from alembic import op
from unexpired_server.storage import migrate

revision = "{revision}"
down_revision = "{down}"
{declared}

def upgrade():
{body}
"""
ADD_COLUMN = 'op.add_column("sessions", sa.Column("spare", sa.Integer))'

Release = Callable[..., None]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with the tables of this version, which the test may change."""
    if request.param == "sqlite":
        address = f"sqlite+aiosqlite:///{tmp_path}/test.sqlite3"
        asyncio.run(stores.fill(address))
        yield address
        return
    if trouble := Postgres.trouble():
        pytest.skip(trouble)
    database = Postgres()
    database.create()
    yield database.address
    database.drop()


def only(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("url", [kind], indirect=True)


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """Make this code a version with one more migration; ``monkeypatch.undo`` rolls back."""

    def next_version(body: str = ADD_COLUMN, declared: str = f'oldest_code = "{HEAD}"') -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(tables.FOLDER, folder)
        source = MODULE.format(
            revision=NEXT, down=HEAD, declared=declared, body=indent(body, "    ")
        )
        (folder / "versions" / "r9001_next.py").write_text(source)
        monkeypatch.setattr(tables, "FOLDER", folder)

    return next_version


def migrated(url: str) -> tuple[int, str]:
    """Run ``migrate``; return its exit code and what it says."""
    result = CliRunner().invoke(main, ["migrate", "--database-url", url])
    assert "Traceback" not in result.output
    return result.exit_code, result.output.strip()


async def opened(url: str) -> None:
    """Start a node, and write with it."""
    database = Database(url)
    try:
        await database.open()
        assert await database.problem() is None
        await database.rows(text("UPDATE users SET disabled_at = NULL"))
    finally:
        await database.close()


def test_an_older_node_serves_on_newer_tables_that_are_declared_compatible(
    url: str, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release()
    assert migrated(url) == (0, "The tables are up to date.")
    asyncio.run(opened(url))
    monkeypatch.undo()
    asyncio.run(opened(url))
    assert migrated(url) == (0, migrate.NEWER)
    asyncio.run(opened(url))


@pytest.mark.parametrize("declared", ["", f'oldest_code = "{NEXT}"', 'oldest_code = "9000"'])
def test_an_older_node_refuses_newer_tables_that_are_not(
    url: str, release: Release, monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    release(declared=declared)
    assert migrated(url)[0] == 0
    monkeypatch.undo()
    with pytest.raises(TablesError, match=rf"{NEXT}.* newer than this version \({HEAD}\)"):
        asyncio.run(opened(url))
    code, said = migrated(url)
    assert code == 2
    assert "run a newer version" in said
    assert said.count("\n") <= 3


def test_tables_of_an_unknown_origin_are_refused_by_name(url: str) -> None:
    asyncio.run(rows(url, "UPDATE alembic_version SET version_num = 'elsewhere'"))
    with pytest.raises(TablesError, match="elsewhere"):
        asyncio.run(opened(url))
    assert migrated(url)[0] == 2


@only("postgres")
def test_a_newer_node_serves_on_older_tables_where_it_says_so(url: str, release: Release) -> None:
    release(declared=f'oldest_tables = "{HEAD}"')
    asyncio.run(opened(url))


@only("postgres")
def test_a_newer_node_does_not_serve_on_older_tables_otherwise(url: str, release: Release) -> None:
    release()
    with pytest.raises(TablesError, match="unexpired-server migrate"):
        asyncio.run(opened(url))


async def test_incompatible_tables_are_a_reason_for_a_node_that_runs(
    url: str,
) -> None:
    database = Database(url)
    assert await database.problem() is None
    await rows(url, "UPDATE alembic_version SET version_num = 'elsewhere'")
    assert "elsewhere" in str(await database.problem())
    await database.close()


HELPERS = """
op.add_column("users", sa.Column("spare", sa.Integer))
migrate.in_batches(
    "UPDATE users SET spare = 1 WHERE id IN "
    "(SELECT id FROM users WHERE spare IS NULL LIMIT :batch)"
)
migrate.create_index("spare_index", "users", "spare", where="spare > 0")
migrate.drop_index("ix_sessions_created_at")
"""


def test_the_helpers_change_tables_in_small_steps(
    url: str, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "BATCH", 1)
    release(HELPERS)
    assert migrated(url) == (0, "The tables are up to date.")
    assert asyncio.run(rows(url, "SELECT spare FROM users")) == [(1,), (1,)]
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'index'"
        if url.startswith("sqlite")
        else "SELECT indexname FROM pg_indexes"
    )
    found = {name for (name,) in asyncio.run(rows(url, names))}
    assert "spare_index" in found
    assert "ix_sessions_created_at" not in found


@only("postgres")
async def test_several_processes_that_migrate_at_once_build_an_index_concurrently(
    url: str, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that waited for the others in a statement would keep the index from being built."""
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.01)
    release('migrate.create_index("spare_index", "users", "username")')
    databases = [Database(url) for _ in range(4)]
    async with asyncio.timeout(60):
        await asyncio.gather(*(database.migrate() for database in databases))
    assert all([await database.is_current() for database in databases])
    for database in databases:
        await database.close()


@only("postgres")
async def test_a_migration_never_makes_requests_wait_behind_it(
    url: str, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.05)
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.05)
    release()
    database = Database(url)
    async with engine_of(url).connect() as reader:
        await reader.exec_driver_sql("BEGIN")
        await reader.exec_driver_sql("SELECT count(*) FROM sessions")
        migration = asyncio.create_task(database.migrate())
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while await rows(url, waits) == [(0,)]:
            await asyncio.sleep(0)
        for _ in range(20):  # Each would wait as long as the migration does.
            await database.rows(text("UPDATE sessions SET device = device"))
        assert not migration.done()
        await reader.exec_driver_sql("COMMIT")
    assert await migration == tables.UP_TO_DATE
    await database.close()


@only("postgres")
async def test_a_migration_may_take_longer_than_a_request(
    url: str, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "TIMEOUT_SECONDS", 0.2)
    release('op.execute("SELECT pg_sleep(1)")')
    database = Database(url)
    assert await database.migrate() == tables.UP_TO_DATE
    await database.close()


@only("postgres")
async def test_a_migration_that_fails_changes_nothing_and_can_be_run_again(
    url: str, release: Release, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release(f'{ADD_COLUMN}\nop.execute("SELECT 1 / 0")')
    database = Database(url)
    with pytest.raises(SettingsError, match="22012"):
        await database.migrate()
    monkeypatch.undo()
    assert await database.is_current()
    shutil.rmtree(tmp_path / "migrations")
    release()
    assert await database.migrate() == tables.UP_TO_DATE
    await database.close()


@only("postgres")
async def test_a_user_who_may_not_change_the_tables_is_one_sentence(
    url: str, release: Release
) -> None:
    release()
    role = f"reader_{url.rpartition('_')[2]}"
    await rows(url, f"CREATE ROLE {role} LOGIN")
    try:
        await rows(url, f"GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}")
        database = Database(url.replace("postgres@", f"{role}@"))
        with pytest.raises(SettingsError, match="lacks a permission"):
            await database.migrate()
        await database.close()
    finally:
        await rows(url, f"DROP OWNED BY {role}")
        await rows(url, f"DROP ROLE {role}")


@only("postgres")
async def test_work_behind_a_migration_that_ends_the_waiting_is_unavailable(
    url: str,
) -> None:
    database = Database(url)

    async def lock(connection: AsyncConnection) -> None:
        await connection.execute(text("SET LOCAL lock_timeout = 1"))
        await connection.execute(text("LOCK TABLE users"))

    async with engine_of(url).connect() as other:
        await other.exec_driver_sql("BEGIN")
        await other.exec_driver_sql("LOCK TABLE users")
        with pytest.raises(Unavailable):
            await database.transaction(lock)
        await other.exec_driver_sql("ROLLBACK")
    await database.close()
