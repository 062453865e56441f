"""SQLite's file: private, and a full, locked or read-only one is an outage that passes."""

import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from tests.server.stores import fill as fill_tables
from tests.support import small_disk
from unexpired_server.errors import Unavailable
from unexpired_server.settings import SettingsError
from unexpired_server.storage import database as database_module
from unexpired_server.storage.database import Database


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def url_of(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/data.sqlite3"


def companions(folder: Path) -> list[Path]:
    return sorted(folder.glob("data.sqlite3*"))


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    await fill_tables(url_of(tmp_path))
    one = Database(url_of(tmp_path), pool_size=1)
    yield one
    await one.close()


def grow(connection: Connection) -> None:
    connection.execute(text("UPDATE users SET password_hash = hex(randomblob(100000))"))


async def test_a_new_file_and_what_is_beside_it_are_private(
    database: Database, tmp_path: Path
) -> None:
    await database.grouped(grow)
    assert len(companions(tmp_path)) == 3
    assert {mode_of(path) for path in companions(tmp_path)} == {0o600}


async def test_a_file_that_everybody_can_read_is_closed_to_them(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await database.grouped(grow)
    for path in companions(tmp_path):
        path.chmod(0o644)
    await database.open()
    assert {mode_of(path) for path in companions(tmp_path)} == {0o600}
    assert "could be read by others" in caplog.text


async def test_a_file_that_only_its_group_can_read_stays_as_it_is(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "data.sqlite3").chmod(0o640)
    await database.open()
    assert mode_of(tmp_path / "data.sqlite3") == 0o640


@pytest.mark.parametrize("failure", [PermissionError, None])
async def test_a_file_that_cannot_be_closed_to_others_is_refused(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Any
) -> None:
    (tmp_path / "data.sqlite3").chmod(0o644)

    def chmod(_path: Path, _mode: int) -> None:
        if failure:
            raise failure

    monkeypatch.setattr(Path, "chmod", chmod)
    with pytest.raises(SettingsError, match=r"run: chmod 600"):
        await database.open()


async def test_a_healthy_file_has_no_problem(database: Database) -> None:
    assert await database.problem() is None
    assert await database.rows(text("PRAGMA user_version")) == [(0,)]


@pytest.mark.usefixtures("database")
async def test_a_locked_file_is_a_problem_that_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.05)
    impatient = Database(url_of(tmp_path))
    other = sqlite3.connect(tmp_path / "data.sqlite3")
    other.execute("BEGIN IMMEDIATE")
    assert await impatient.problem() == (
        "The database fails: another process holds its lock (SQLITE_BUSY)"
    )
    with pytest.raises(Unavailable):
        await impatient.grouped(grow)
    other.close()
    assert await impatient.problem() is None
    await impatient.grouped(grow)
    await impatient.close()


async def test_a_read_only_file_is_a_problem_that_passes(database: Database) -> None:
    await database.rows(text("PRAGMA query_only = ON"))
    assert await database.problem() == (
        "The database fails: it accepts no writes (SQLITE_READONLY)"
    )
    await database.rows(text("PRAGMA query_only = OFF"))
    assert await database.problem() is None


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk.small_disk(4) as path:
        yield path


async def test_a_full_disk_is_a_problem_that_passes(
    disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await fill_tables(url_of(disk))
    counted: list[str] = []
    database = Database(url_of(disk), on_failure=counted.append)
    await database.grouped(grow)
    ballast = small_disk.fill(disk)
    assert await database.problem() == (
        "The database's disk cannot be written to: No space left on device"
    )
    for _ in range(10):  # Until what SQLite has reserved is used up.
        with suppress(Unavailable):
            await database.grouped(grow)
    with pytest.raises(Unavailable):
        await database.grouped(grow)
    assert "its disk is full (SQLITE_FULL)" in caplog.text
    assert set(counted) == {"SQLITE_FULL"}
    ballast.unlink()
    await database.grouped(grow)
    assert await database.problem() is None
    await database.close()
