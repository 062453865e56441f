"""PgBouncer in front of PostgreSQL: found by itself, and no statement is split between servers."""

import asyncio
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.server.harness import StartServer
from tests.server.stores import Postgres, rows
from tests.support.pgbouncer import PROGRAM, PgBouncer
from unexpired_server.cli import main
from unexpired_server.storage.database import Database

STORES = ("postgres",)

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")

FOUND = "the database is behind a pooler"


@pytest.fixture(params=["transaction", "session"])
def pooler(request: pytest.FixtureRequest, store: str) -> Iterator[PgBouncer]:
    # pytest's own folders cannot be read by other users, and PgBouncer is not root.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        size = 3 if request.param == "transaction" else 40
        with PgBouncer(Path(name), store, request.param, size) as running:
            yield running


async def test_many_refreshes_at_once_work_behind_a_pooler(
    start: StartServer, pooler: PgBouncer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    nodes = [await start(database_url=pooler.url, login_limit="") for _ in range(2)]
    tokens: list[dict[str, Any]] = [await nodes[number % 2].sign_in() for number in range(20)]
    for _ in range(5):
        asked = [
            nodes[number % 2].refreshed(one["refreshToken"]) for number, one in enumerate(tokens)
        ]
        tokens = await asyncio.gather(*asked)
    assert sum(FOUND in record.getMessage() for record in caplog.records) == len(nodes)
    for node in nodes:
        assert (await node.http.get("/readyz")).status_code == 200


async def test_a_server_without_a_pooler_keeps_its_single_round_trip(
    start: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    node = await start()
    await node.sign_in()
    assert FOUND not in caplog.text


async def test_a_pooler_that_the_url_names_is_believed(store: str) -> None:
    database = Database(f"{store}?pgbouncer=true")
    assert await database.problem() is None
    await database.close()


@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
def test_migrations_run_behind_a_pooler(pooler: PgBouncer) -> None:
    empty = Postgres()
    asyncio.run(empty.admin("CREATE DATABASE {name}"))
    try:
        url = pooler.url.rpartition("/")[0] + f"/{empty.name}"
        for _ in range(2):
            result = CliRunner().invoke(main, ["migrate", "--database-url", url])
            assert (result.exit_code, result.stdout) == (0, "The tables are up to date.\n")
        assert asyncio.run(rows(empty.url, "SELECT count(*) FROM sessions")) == [(0,)]
    finally:
        empty.drop()
