"""PostgreSQL's connections: one round trip a statement; what is dead or read-only is replaced."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.server.harness import StartServer
from tests.server.stores import Postgres, rows
from tests.support.proxy import TCPProxy
from unexpired_server.errors import Unavailable
from unexpired_server.storage import database as database_module
from unexpired_server.storage import postgres as pool
from unexpired_server.storage.database import Database
from unexpired_server.storage.prepared import Prepared
from unexpired_server.storage.schema import users

STORES = ("postgres",)

ADA = select(users.c.username).where(users.c.username == "ada")
TOUCH = text("UPDATE users SET created_at = created_at + 1 WHERE username = 'ada' RETURNING id")
PREPARED = Prepared(TOUCH)
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
async def database(proxy: TCPProxy) -> AsyncIterator[Database]:
    one = Database(proxy.url)
    yield one
    await one.close()


Touch = Callable[[Connection], int]


def by_sqlalchemy(connection: Connection) -> int:
    return len(connection.execute(TOUCH).all())


def by_the_driver(connection: Connection) -> int:
    return 1 if PREPARED.first(connection, {}) else 0


@pytest.fixture(params=[by_sqlalchemy, by_the_driver])
def touch(request: pytest.FixtureRequest) -> Touch:
    """Change one row; return how many were changed."""
    changed: Touch = request.param
    return changed


async def concurrently(database: Database, number: int) -> None:
    """Open a number of connections."""
    await asyncio.gather(*(database.rows(text("SELECT pg_sleep(0.05)")) for _ in range(number)))


async def trips(proxy: TCPProxy, database: Database, name: str) -> int:
    """Return the round trips of one statement on a connection that has seen it before."""

    async def once() -> None:
        if name == "rows":
            await database.rows(ADA)
        elif name == "grouped":
            await database.grouped(by_sqlalchemy)
        elif name == "prepared":
            await database.grouped(by_the_driver)
        else:
            await database.run(lambda one: one.execute(TOUCH))

    await once()
    before = proxy.round_trips
    await once()
    return proxy.round_trips - before


@pytest.mark.parametrize("name", ["rows", "grouped", "prepared", "run"])
async def test_a_statement_on_a_warm_connection_is_one_round_trip(
    proxy: TCPProxy, database: Database, name: str
) -> None:
    assert await trips(proxy, database, name) == 1


async def test_a_statement_is_prepared_once_for_each_connection_under_a_name_of_ours(
    database: Database,
) -> None:
    """A statement without a name is parsed again whenever it is used."""
    prepared = text("SELECT name, prepare_time FROM pg_prepared_statements WHERE statement LIKE :x")

    async def run(connection: AsyncConnection) -> list[Any]:
        await connection.execute(ADA)
        return list((await connection.execute(prepared, {"x": "SELECT users.username%"})).all())

    first, second = await database.run(run), await database.run(run)
    assert len(first) == 1
    assert first[0].name.startswith("unexpired_")
    assert second == first


async def test_a_connection_that_was_idle_for_long_is_checked_before_its_use(
    proxy: TCPProxy, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await trips(proxy, database, "rows") == 1
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0)
    assert await trips(proxy, database, "rows") == 2
    assert proxy.connections == 1


async def test_connections_that_the_server_closed_cost_no_statement(
    proxy: TCPProxy, database: Database, store: str
) -> None:
    drivers, meeting = [], asyncio.Barrier(3)

    async def meet(connection: AsyncConnection) -> None:
        drivers.append((await connection.get_raw_connection()).driver_connection)
        await meeting.wait()

    await asyncio.gather(*(database.run(meet) for _ in range(3)))
    assert len(await rows(store, TERMINATE)) == 3
    async with asyncio.timeout(20):
        while not all(driver is not None and driver.is_closed() for driver in drivers):
            await asyncio.sleep(0.01)  # On a busy machine the end is read a little later.
    for _ in range(3):
        # Not repeatable: it must not have been sent on a dead connection.
        assert len(await database.rows(TOUCH)) == 1
    assert proxy.connections <= 6


async def test_repeatable_work_survives_a_connection_that_dies_under_it(
    database: Database, touch: Touch
) -> None:
    attempts = 0

    def work(connection: Connection) -> int:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return touch(connection)

    assert await database.grouped(work) == 1
    assert attempts == 2


async def test_work_that_must_not_run_twice_does_not(database: Database) -> None:
    attempts = 0

    async def work(connection: AsyncConnection) -> None:
        nonlocal attempts
        attempts += 1
        await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(Unavailable):
        await database.run(work)
    assert attempts == 1


async def test_a_transaction_that_was_not_being_committed_runs_again(
    database: Database, store: str
) -> None:
    attempts = 0

    async def work(connection: AsyncConnection) -> None:
        nonlocal attempts
        attempts += 1
        await connection.execute(TOUCH)
        if attempts == 1:
            await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    before = await rows(store, "SELECT created_at + 1 FROM users WHERE username = 'ada'")
    await database.transaction(work)
    assert attempts == 2
    assert await rows(store, "SELECT created_at FROM users WHERE username = 'ada'") == before


async def test_statements_survive_a_migration_that_changes_their_result(
    database: Database, store: str
) -> None:
    await rows(store, "ALTER TABLE users ADD COLUMN spare integer DEFAULT 7")
    try:
        spare = text("SELECT spare FROM users WHERE username = 'ada'")
        everything = text("SELECT * FROM users WHERE username = 'ada'")
        quick = Prepared(spare)
        for statement in (spare, everything):
            await database.rows(statement)
        for change in (None, "bigint", "integer", "text"):
            if change is not None:
                await rows(store, f"ALTER TABLE users ALTER COLUMN spare TYPE {change}")
            found = await database.grouped(lambda one: quick.first(one, {}))
            assert found is not None
            assert str(found[0]) == "7"
        await rows(store, "ALTER TABLE users ALTER COLUMN spare TYPE bigint USING spare::bigint")
        assert await database.rows(spare, is_repeatable=True) == [(7,)]
        await rows(store, "ALTER TABLE users DROP COLUMN spare")
        (row,) = await database.rows(everything, is_repeatable=True)
        assert "spare" not in row._fields
    finally:
        await rows(store, "ALTER TABLE users DROP COLUMN IF EXISTS spare")


async def read_only(postgres: Postgres, *, is_on: bool) -> None:
    """Let new connections accept no writes; those that are open stay as they are."""
    change = "SET default_transaction_read_only = on" if is_on else "RESET ALL"
    await postgres.admin(f"ALTER DATABASE {{name}} {change}")


async def test_a_fail_over_leaves_no_connection_to_what_was_the_primary(
    database: Database, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, touch: Touch
) -> None:
    monkeypatch.setattr(pool, "REPLACE_SECONDS", 0)
    await read_only(postgres, is_on=True)
    try:
        await concurrently(database, 3)
        with pytest.raises(Unavailable):
            await database.grouped(touch)
    finally:
        await read_only(postgres, is_on=False)
    # Whatever is still open accepts no writes, as if it led to the old primary.
    for _ in range(4):
        assert await database.grouped(touch) == 1


async def test_a_server_that_accepts_no_writes_is_not_asked_for_new_connections_all_the_time(
    database: Database,
    proxy: TCPProxy,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    touch: Touch,
) -> None:
    monkeypatch.setattr(pool, "REPLACE_SECONDS", 1000)  # No test takes so long.
    await read_only(postgres, is_on=True)
    try:
        for _ in range(10):
            with pytest.raises(Unavailable):
                await database.grouped(touch)
    finally:
        await read_only(postgres, is_on=False)
    assert proxy.connections == 1


async def test_after_a_time_out_the_other_connections_are_checked(
    proxy: TCPProxy, monkeypatch: pytest.MonkeyPatch, touch: Touch
) -> None:
    monkeypatch.setattr(database_module, "TIMEOUT_SECONDS", 2)  # The driver reads it, too.
    monkeypatch.setattr(pool, "CHECK_SECONDS", 0.5)
    database = Database(proxy.url)
    monkeypatch.setattr(database_module, "TIMEOUT_SECONDS", 20)
    await concurrently(database, 3)
    proxy.pause()
    with pytest.raises(Unavailable):
        await database.grouped(touch)
    proxy.strand()  # What was open stays silent; the rest works again.
    for _ in range(4):
        assert len(await database.rows(TOUCH)) == 1
    await database.close()


async def test_a_host_that_is_silent_or_closed_leaves_time_for_the_next(
    proxy: TCPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "TIMEOUT_SECONDS", 9)  # A third for each host.
    tried = 0

    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tried
        tried += 1
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    address = proxy.url.partition("@")[2]
    database = Database(f"postgresql://postgres@127.0.0.1:{port},127.0.0.1:9,{address}")
    await database.rows(ADA)
    assert tried == 1
    await concurrently(database, 3)  # The host that was suitable is asked first from now on.
    assert (tried, proxy.connections) == (1, 3)
    await database.close()
    silent.close()
    for writer in writers:
        writer.close()


async def test_an_outage_is_logged_once_a_cause_and_counted_each_time(
    proxy: TCPProxy, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("unexpired_server.storage.failures.QUIET_SECONDS", 0)
    counted: list[str] = []
    database = Database(proxy.url, on_failure=counted.append)
    await database.rows(ADA)
    proxy.cut()
    for _ in range(5):
        with pytest.raises(Unavailable):
            await database.rows(TOUCH)
    assert len(counted) == 5
    assert set(counted) <= {"connection", "08"}
    await proxy.open()
    await database.rows(ADA)
    messages = [record.getMessage() for record in caplog.records]
    failed = [message for message in messages if message.startswith("the database fails: ")]
    assert len(failed) == len(set(failed))
    assert "the database works again, after 5 failures" in messages[-1]
    await database.close()


async def test_a_failure_is_named_by_its_sqlstate_and_never_with_its_values(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Unavailable):
        await database.rows(text("SELECT * FROM gone WHERE x = :x").bindparams(x="s3cret"))
    assert "(42P01)" in caplog.text
    assert "s3cret" not in caplog.text


async def test_the_pool_is_as_large_as_the_settings_say(
    start: StartServer, proxy: TCPProxy
) -> None:
    node = await start(database_url=proxy.url, pool_size=2)
    await concurrently(node.app.state.service.database, 8)
    assert proxy.connections <= 2


async def test_a_database_that_accepts_writes_has_no_problem(database: Database) -> None:
    assert await database.problem() is None
    await database.ping()


async def test_a_database_that_accepts_no_writes_has_a_problem(
    database: Database, postgres: Postgres
) -> None:
    await read_only(postgres, is_on=True)
    try:
        assert await database.problem() == (
            "The database is read-only: it accepts no writes (25006)"
        )
        with pytest.raises(Unavailable):
            await database.ping()
    finally:
        await read_only(postgres, is_on=False)


async def test_a_database_that_is_away_has_a_problem(database: Database, proxy: TCPProxy) -> None:
    proxy.cut()
    assert await database.problem() == (
        "The database fails: nothing listens at its address (ConnectionRefusedError)"
    )
