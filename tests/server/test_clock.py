"""The clock that nodes share: the database's, whatever this node's own clock says."""

import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Executable

from server.app import create_app
from tests.server.harness import HASHER, PASSWORD, call
from tests.server.stores import rows
from unexpired_server import service
from unexpired_server.service import Service
from unexpired_server.settings import Settings
from unexpired_server.storage import clock
from unexpired_server.storage.clock import MAX_SKEW, STEADY_SECONDS, DatabaseClock
from unexpired_server.storage.database import Database

STORES = ("sqlite", "postgres")
DAY = 86_400.0


@pytest.fixture
async def database(store: str) -> AsyncIterator[Database]:
    opened = Database(store)
    yield opened
    await opened.close()


class Machine:
    """A database whose clock a test sets, and a node that asks it."""

    def __init__(self) -> None:
        self.database_time = 1000.0
        self.ticks = 50.0
        self.wall = 1000.0
        self.delay = 0.0
        self.clock = DatabaseClock(self, lambda: self.wall, lambda: self.ticks)  # type: ignore[arg-type]

    async def rows(self, _statement: Executable) -> list[Any]:
        self.advance(self.delay / 2)
        now = self.database_time
        self.advance(self.delay / 2)
        return [type("Row", (), {"now": now})]

    def advance(self, seconds: float) -> None:
        self.database_time += seconds
        self.ticks += seconds
        self.wall += seconds


@pytest.mark.parametrize("skew", [9 * DAY, 40, -1200, 0])
async def test_the_database_decides_what_time_it_is(database: Database, skew: float) -> None:
    mine = DatabaseClock(database, lambda: time.time() + skew)
    assert mine.skew == pytest.approx(0, abs=0.1)
    await mine.look()
    assert mine() == pytest.approx(time.time(), abs=1)
    assert mine.skew == pytest.approx(skew, abs=1)
    assert mine.may_condemn() == (skew == 0)
    problem = await mine.problem()
    assert (problem is None) == (skew == 0)


async def test_a_clock_says_in_words_how_wrong_it_is() -> None:
    node = Machine()
    node.wall += 40
    await node.clock.look()
    assert await node.clock.problem() == "This node's clock is 40 s ahead of the database's."
    node.wall -= 1240
    assert "1200 s behind" in str(await node.clock.problem())


async def test_between_two_looks_the_time_goes_on_although_somebody_sets_the_clock() -> None:
    node = Machine()
    await node.clock.look()
    node.advance(30)
    node.wall -= 3600
    assert node.clock() == node.database_time
    assert not node.clock.may_condemn()


async def test_a_look_that_took_long_changes_nothing_that_it_does_not_contradict() -> None:
    node = Machine()
    await node.clock.look()
    node.delay = 4
    await node.clock.look()
    assert node.clock() == node.database_time
    node.database_time += 1  # Within what a look of four seconds can tell.
    await node.clock.look()
    assert node.clock() == node.database_time - 1
    node.delay = 0
    await node.clock.look()
    assert node.clock() == node.database_time


async def test_after_the_databases_clock_has_jumped_nothing_is_condemned_for_a_day() -> None:
    node = Machine()
    await node.clock.look()
    assert node.clock.may_condemn()
    # A replica with another clock has taken over, and the node's own follows it.
    node.database_time += 9 * DAY
    node.wall += 9 * DAY
    await node.clock.look()
    assert node.clock() == node.database_time
    assert not node.clock.may_condemn()
    node.advance(STEADY_SECONDS + 1)
    await node.clock.look()
    assert node.clock.may_condemn()


async def test_small_corrections_are_no_jump() -> None:
    node = Machine()
    await node.clock.look()
    node.database_time += MAX_SKEW - 1
    await node.clock.look()
    assert node.clock() == node.database_time
    assert node.clock.may_condemn()


async def test_a_machine_may_sleep() -> None:
    """The monotonic clock of most systems stands still meanwhile; ours does not, where it can."""
    assert clock.TICKS() >= time.monotonic() - 1


class Node:
    """A node whose own clock is wrong, on the database of the test."""

    def __init__(self, settings: Settings, skew: float, patch: pytest.MonkeyPatch) -> None:
        wrong = partial(DatabaseClock, wall=lambda: time.time() + skew)
        with patch.context() as only_here:
            only_here.setattr(service, "DatabaseClock", wrong)
            self.app = create_app(settings, hasher=HASHER)
        self.service: Service = self.app.state.service

    async def post(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        headers = [(b"content-type", b"application/json")]
        response = await call(self.app, "POST", path, headers, [body])
        return response.status, response.json if response.body else {}

    async def login(self) -> dict[str, Any]:
        body = f'{{"username": "ada", "password": "{PASSWORD}"}}'.encode()
        status, tokens = await self.post("/api/login", body)
        assert status == 200
        return tokens

    async def refresh(self, token: str) -> tuple[int, dict[str, Any]]:
        return await self.post("/api/refresh", f'{{"refreshToken": "{token}"}}'.encode())

    async def me(self, token: str) -> int:
        headers = [(b"authorization", f"Bearer {token}".encode())]
        return (await call(self.app, "GET", "/api/me", headers, [])).status


@pytest.mark.parametrize("skew", [9 * DAY, 40, -1200])
async def test_a_node_whose_clock_is_wrong_does_as_the_others(
    make_settings: Any, store: str, skew: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PURGE_INTERVAL", 0)
    right = Node(make_settings(), 0, monkeypatch)
    wrong = Node(make_settings(), skew, monkeypatch)
    async with right.service.running():
        await rows(store, "UPDATE jobs SET started_at = 0")
        tokens = await right.login()
        async with wrong.service.running():
            await wrong.service._purge()  # noqa: SLF001 - what its background job runs
            assert await rows(store, "SELECT count(*) FROM sessions") == [(1,)]
            # Its tokens are of the same time, so both accept them, and end them together.
            theirs = await wrong.login()
            for token in (tokens["accessToken"], theirs["accessToken"]):
                assert [await right.me(token), await wrong.me(token)] == [200, 200]
            # A repeat at once is a repeat, wherever it is presented.
            status, _ = await right.refresh(tokens["refreshToken"])
            assert status == 200
            status, answer = await wrong.refresh(tokens["refreshToken"])
            assert status == 200, answer
            # A sign-out there is known here.
            await wrong.post(
                "/api/logout", f'{{"refreshToken": "{theirs["refreshToken"]}"}}'.encode()
            )
            await right.service.sessions.follow()
            assert await right.me(theirs["accessToken"]) == 401
