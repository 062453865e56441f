"""Migrations: from every starting point to the same tables, on both stores."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from click.testing import CliRunner
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.server.stores import Postgres, rows
from tests.support.server_process import clean_environment
from unexpired_server.cli import main
from unexpired_server.sessions.refresh_tokens import RefreshTokenClaims
from unexpired_server.sessions.rules import Decision, SessionPolicy
from unexpired_server.sessions.store import Store
from unexpired_server.sessions.users import Users
from unexpired_server.settings import SettingsError
from unexpired_server.storage import tables
from unexpired_server.storage.database import Database
from unexpired_server.storage.schema import metadata

STORES = ("sqlite", "postgres")


@pytest.fixture
def empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
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
def test_migrations_create_the_tables_of_the_code_and_can_be_repeated(
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


def test_a_file_with_the_tables_of_the_code_is_opened_without_alembic(template: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "sys.modules['alembic'] = None\n"
        "from unexpired_server.cli import Database\n"
        "async def start():\n"
        "    database = Database(sys.argv[1])\n"
        "    await database.open()\n"
        "    print(await database.problem())\n"
        "    await database.close()\n"
        "asyncio.run(start())"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, f"sqlite+aiosqlite:///{template}"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("None\n", "")


def test_a_migration_is_in_a_file_that_its_revision_names() -> None:
    """``tables`` tells the newest one by the names of the files."""
    files = list((tables.FOLDER / "versions").glob("r*.py"))
    assert len(files) >= 8
    for file in files:
        (revision,) = re.findall(r'^revision = "(.*)"$', file.read_text(), re.MULTILINE)
        assert re.fullmatch(rf"r{revision}_[a-z0-9_]+\.py", file.name)


@pytest.mark.parametrize("empty_store", STORES, indirect=True)
async def test_one_of_several_processes_that_start_at_once_migrates(empty_store: str) -> None:
    databases = [Database(empty_store) for _ in range(4)]
    try:
        await asyncio.gather(*(database.migrate() for database in databases))
        assert all([await database.is_current() for database in databases])
    finally:
        for database in databases:
            await database.close()


async def test_a_file_of_the_first_version_keeps_its_data(
    tmp_path: Path,
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/old.sqlite3"
    database = Database(url)
    await database.migrate()
    await Users(database).add("ada", "hash", 1)
    await rows(url, "INSERT INTO events (at, kind, user_id) VALUES (1, 'x', 'u')")

    async def drop_version(connection: AsyncConnection) -> None:
        for statement in (
            "DROP TABLE alembic_version",
            "DROP TABLE identities",
            "DROP TABLE sign_in_codes",
            "DROP INDEX ix_events_at",
            "ALTER TABLE events DROP COLUMN address",
            "ALTER TABLE sessions DROP COLUMN address",
            "ALTER TABLE sessions DROP COLUMN attempts",
            "ALTER TABLE sessions DROP COLUMN jkt",
        ):
            await connection.execute(text(statement))

    await database.run(drop_version)
    await database.open()
    assert await Users(database).find("ada")
    assert await rows(url, "SELECT kind, address FROM events") == [("x", None)]
    await database.close()


@pytest.fixture
def go_back_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make this code a version without a migration and later ones, until ``monkeypatch.undo``."""

    def go_back(revision: str) -> None:
        before = tmp_path / "before"
        shutil.copytree(tables.FOLDER, before)
        for file in (before / "versions").glob("r*.py"):
            if file.name >= f"r{revision}":
                file.unlink()
        monkeypatch.setattr(tables, "FOLDER", before)

    return go_back


FIRST_SESSION = (
    "INSERT INTO sessions (id, user_id, counter, created_at, refreshed_at, revoked_at, device, "
    "address, attempts) VALUES ('{id}', '{user_id}', 7, 1, 2, {revoked_at}, 'phone', 'a', 'x,y')"
)
"""As the version before scopes writes it."""


@pytest.mark.parametrize("empty_store", STORES, indirect=True)
async def test_sessions_from_before_scopes_go_on_and_users_may_be_elsewhere(
    empty_store: str, go_back_before: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_back_before("0006")
    database = Database(empty_store)
    await database.migrate()
    await rows(empty_store, "INSERT INTO users VALUES ('u', 'ada', 'hash', 1, NULL)")
    await rows(empty_store, FIRST_SESSION.format(id="s1", user_id="u", revoked_at="NULL"))
    await rows(empty_store, FIRST_SESSION.format(id="s2", user_id="u", revoked_at="3"))
    await rows(empty_store, "INSERT INTO events (at, kind, user_id) VALUES (1, 'x', 'u')")
    monkeypatch.undo()
    await database.migrate()
    ada = await Users(database).find("ada")
    assert ada is not None
    assert ada.scopes == frozenset()
    query = "SELECT counter, revoked_at, device, address, attempts, account FROM sessions"
    kept = ("phone", "a", "x,y", None)
    assert sorted(await rows(empty_store, query), key=str) == [(7, 3, *kept), (7, None, *kept)]
    assert await rows(empty_store, "SELECT kind, user_id FROM events") == [("x", "u")]
    # Nodes of the version before write as they did, and others for users of any other table.
    await rows(empty_store, FIRST_SESSION.format(id="s3", user_id="x" * 255, revoked_at="NULL"))
    await database.close()


OWN_SESSION = (
    "INSERT INTO sessions (id, user_id, counter, created_at, refreshed_at, device, attempts, "
    "account) VALUES ('{id}', 'u', 7, 1, 2, 'phone', '', NULL)"
)
"""As the version before bound sessions writes it."""


@pytest.mark.parametrize("empty_store", STORES, indirect=True)
async def test_sessions_from_before_keys_go_on_unbound_and_so_do_those_of_older_nodes(
    empty_store: str, go_back_before: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_back_before("0007")
    database = Database(empty_store)
    await database.migrate()
    await rows(
        empty_store,
        "INSERT INTO users (id, username, password_hash, created_at) VALUES ('u', 'ada', 'h', 1)",
    )
    await rows(empty_store, OWN_SESSION.format(id="s1"))
    monkeypatch.undo()
    await database.migrate()
    await rows(empty_store, OWN_SESSION.format(id="s2"))
    store = Store(database, SessionPolicy(idle_ttl=100, absolute_ttl=300, grace=30))
    assert [one.is_bound for one in await store.live(3, "u")] == [False, False]
    for session_id, jkt in (("s1", None), ("s1", "k" * 43), ("s2", None), ("s2", "k" * 43)):
        (row,) = await rows(empty_store, f"SELECT counter FROM sessions WHERE id = '{session_id}'")  # noqa: S608
        outcome = await store.refresh(RefreshTokenClaims(session_id, row[0]), 3, jkt=jkt)
        assert outcome.decision is Decision.ROTATE
    assert await rows(empty_store, "SELECT counter, jkt FROM sessions") == [(9, None)] * 2
    await database.close()


@pytest.mark.parametrize("empty_store", ["postgres"], indirect=True)
async def test_an_old_postgres_stops_the_server_with_the_command_to_run(
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
