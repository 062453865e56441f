"""A PostgreSQL that is a standby, is promoted, or has a full disk."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.server.stores import fill as fill_tables
from tests.support import small_disk
from tests.support.own_postgres import IS_INSTALLED, OwnPostgres
from unexpired_server.errors import Unavailable
from unexpired_server.storage.database import Database

pytestmark = pytest.mark.skipif(not IS_INSTALLED, reason="PostgreSQL's programs are not installed")

TOUCH = text("UPDATE users SET created_at = created_at + 1 WHERE username = 'ada' RETURNING id")


@pytest.fixture
def folder() -> Iterator[Path]:
    # pytest's own folders cannot be entered by other users, and PostgreSQL is not root.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


async def test_a_url_with_several_hosts_follows_the_primary(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    with OwnPostgres(folder / "a") as primary, OwnPostgres(folder / "b", primary) as standby:
        await fill_tables(primary.url)
        hosts = f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
        database = Database(f"postgresql://postgres@{hosts}/postgres")
        read_only = Database(standby.url)
        assert len(await database.rows(TOUCH)) == 1
        assert await database.problem() is None
        assert await read_only.problem() == (
            "The database is a standby: it accepts no writes (25006)"
        )
        primary.stop()
        with pytest.raises(Unavailable):
            await database.rows(TOUCH)
        standby.promote()
        assert len(await database.rows(TOUCH)) == 1
        assert await database.problem() is None
        assert await read_only.problem() is None
        await database.close()
        await read_only.close()


async def test_a_full_disk_is_a_problem_that_passes(caplog: pytest.LogCaptureFixture) -> None:
    with small_disk.small_disk(100) as disk, OwnPostgres(disk) as server:
        await fill_tables(server.url)
        database = Database(server.url)
        assert await database.problem() is None
        ballast = small_disk.fill(disk)
        assert await database.problem() == "The database fails: its disk is full (53100)"
        assert "its disk is full (53100)" in caplog.text
        ballast.unlink()
        assert await database.problem() is None
        assert len(await database.rows(TOUCH)) == 1
        await database.close()
