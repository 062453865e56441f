"""A server that starts while its database is away or has other tables, and recovers by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from alembic import command
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from server.app import create_app
from tests.server.harness import HASHER, StartServer, bearer
from tests.server.stores import Postgres, fill, rows
from tests.support.proxy import TCPProxy
from tests.support.server_process import StartProcess
from unexpired_server.settings import Settings
from unexpired_server.storage import migrate, tables
from unexpired_server.storage.database import Database

STORES = ("postgres",)
SECONDS = 60


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unexpired_server.service.POLL_INTERVAL", 0.01)


@pytest.fixture
async def empty() -> AsyncIterator[Postgres]:
    """A database without tables."""
    database = Postgres()
    await database.admin("CREATE DATABASE {name}")
    yield database
    await database.admin("DROP DATABASE {name} WITH (FORCE)")


async def eventually(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_a_node_starts_without_its_database_and_is_ready_once_it_is_there(
    start: StartServer, proxy: TCPProxy
) -> None:
    access = (await (await start()).sign_in())["accessToken"]
    proxy.cut()
    node = await start(database_url=proxy.url)
    assert (await node.http.get("/healthz")).status_code == 200
    assert (await node.http.get("/readyz")).status_code == 503
    # What needs no database goes on.
    unknown = await node.http.get("/api/notes/x", headers=bearer(access))
    assert unknown.status_code == 405
    response = await node.login()
    assert (response.status_code, "retry-after" in response.headers) == (503, True)
    await proxy.open()

    async def is_ready() -> bool:
        return (await node.http.get("/readyz")).status_code == 200

    await eventually(is_ready)
    await node.sign_in()


async def test_a_node_waits_for_its_tables_and_says_so_once(
    empty: Postgres, make_settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(make_settings(database_url=empty.address), hasher=HASHER)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http,
    ):
        assert (await http.get("/readyz")).status_code == 503
        await asyncio.sleep(0.2)  # Several attempts.
        errors = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
        assert len(errors) == 1
        assert "unexpired-server migrate" in errors[0]
        await fill(empty.address)

        async def is_ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        await eventually(is_ready)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_the_command_starts_without_its_database(serve: StartProcess, workers: str) -> None:
    nowhere = "postgresql+asyncpg://postgres@127.0.0.1:1/none"
    server = await asyncio.to_thread(
        lambda: serve("--workers", workers, UNEXPIRED_DATABASE_URL=nowhere)
    )
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            assert (await asyncio.to_thread(server.ask, "GET", "/healthz", None))[0] == 200
            break
        except OSError:
            assert time.monotonic() < deadline
    assert (await asyncio.to_thread(server.ask, "GET", "/readyz", None))[0] == 503
    assert server.child.poll() is None


async def to_revision(url: str, revision: str) -> None:
    """Bring a database to the tables of an earlier version."""

    def upgrade(connection: Connection) -> None:
        connection.rollback()
        config = migrate._config(tables.FOLDER)  # noqa: SLF001 - as `upgrade` does
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async def work(connection: AsyncConnection) -> None:
        await connection.run_sync(upgrade)

    database = Database(url)
    await database.run(work)
    await database.close()


async def test_events_move_to_numbers_of_64_bits_while_others_write_them(
    empty: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "BATCH", 100)
    await to_revision(empty.address, "0004")
    old = "INSERT INTO events (at, kind) SELECT n, 'old' FROM generate_series(1, 2500) n"
    await rows(empty.address, old)
    is_over = asyncio.Event()

    async def writer() -> int:
        """Write as a node of the version before does."""
        written = 0
        while not is_over.is_set():
            await rows(empty.address, "INSERT INTO events (at, kind) VALUES (1, 'new')")
            written += 1
        return written

    writing = asyncio.create_task(writer())
    database = Database(empty.address)
    await database.migrate()
    is_over.set()
    written = await writing
    kinds = "SELECT kind, count(*), count(DISTINCT id) FROM events GROUP BY kind ORDER BY kind"
    assert await rows(empty.address, kinds) == [
        ("new", written, written),
        ("old", 2500, 2500),
    ]
    assert await rows(empty.address, "SELECT to_regclass('events_32')") == [(None,)]
    assert await database.is_current()
    await database.close()


async def test_an_interrupted_move_goes_on_where_it_stopped(
    empty: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "BATCH", 100)
    await to_revision(empty.address, "0004")
    old = "INSERT INTO events (at, kind) SELECT n, 'old' FROM generate_series(1, 1000) n"
    await rows(empty.address, old)
    original: Callable[[str], int] = migrate.run_outside
    left = 4

    def interrupted(statement: str) -> int:
        nonlocal left
        if "events_32" in statement:
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return original(statement)

    database = Database(empty.address)
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "run_outside", interrupted)
        with pytest.raises(BaseException, match=r"^$"):
            await database.migrate()
    assert not await database.is_current()
    assert await rows(empty.address, "SELECT count(*) FROM events") == [(300,)]
    await database.migrate()
    assert await rows(empty.address, "SELECT count(*), max(id) FROM events") == [(1000, 1000)]
    assert await database.is_current()
    await database.close()
