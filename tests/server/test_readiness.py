"""Readiness: every reason is named, a hanging check is one of them, and probes cost nothing."""

import asyncio
import logging

import pytest

from tests.server.harness import TestServer
from unexpired_server.errors import Unavailable
from unexpired_server.ops import readiness
from unexpired_server.ops.readiness import Readiness
from unexpired_server.service import Service
from unexpired_server.storage.database import Database


async def reasons(node: Readiness) -> dict[str, str]:
    try:
        await node.check()
    except Unavailable as failure:
        return {reason.check: reason.message for reason in failure.reasons}
    return {}


async def fine() -> None:
    return None


async def behind() -> str:
    return "This node's clock is 90 seconds behind the database's."


class Seconds:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_readyz_names_every_reason_and_says_when_to_ask_again(node: TestServer) -> None:
    service: Service = node.app.state.service
    service.readiness.add("clock", behind)
    service.readiness.add("migrations", fine)
    service.readiness.add("draining", behind)
    response = await node.http.get("/readyz")
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "error": Unavailable.message,
        "code": "UNAVAILABLE",
        "reasons": [
            {"check": "draining", "message": await behind()},
            {"check": "clock", "message": await behind()},
        ],
    }
    assert (await node.http.get("/healthz")).status_code == 200


async def test_a_broken_database_is_a_reason_without_its_address(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(_self: Database, _start: object) -> None:
        raise Unavailable from OSError("postgresql://app:secret@db")

    monkeypatch.setattr(Database, "_with_timeout", down)
    text = (await node.http.get("/readyz")).text
    assert '"check":"database","message":"The database fails: OSError' in text
    assert "secret" not in text


async def test_healthz_asks_nothing(node: TestServer) -> None:
    async def forbidden() -> None:
        pytest.fail("/healthz ran a check")

    node.app.state.service.readiness.add("database", forbidden)
    assert (await node.http.get("/healthz")).json() == {"status": "ok"}


async def test_a_check_that_hangs_is_a_reason_and_runs_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readiness, "BOUND_SECONDS", 0.01)
    monkeypatch.setattr(readiness, "SHARED_SECONDS", 0)
    node, started, released = Readiness(), 0, asyncio.Event()

    async def hang() -> None:
        nonlocal started
        started += 1
        await released.wait()

    node.add("database", hang)
    node.add("clock", behind)
    for _ in range(3):
        found = await reasons(node)
        assert set(found) == {"database", "clock"}
        assert "No result within" in found["database"]
    assert started == 1
    released.set()
    assert set(await reasons(node)) == {"clock"}


async def test_checks_run_side_by_side() -> None:
    node, meeting = Readiness(), asyncio.Barrier(2)

    async def meet() -> None:
        await meeting.wait()

    node.add("database", meet)
    node.add("clock", meet)
    assert await reasons(node) == {}


async def test_probes_share_one_run_and_its_result_for_a_moment() -> None:
    seconds, runs = Seconds(), 0
    node = Readiness(seconds)

    async def count() -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)

    node.add("database", count)
    await asyncio.gather(*(reasons(node) for _ in range(100)))
    seconds.now = readiness.SHARED_SECONDS * 0.9
    await reasons(node)
    assert runs == 1
    seconds.now = readiness.SHARED_SECONDS
    await reasons(node)
    assert runs == 2


async def test_a_probe_that_goes_away_does_not_cancel_the_run_of_the_others() -> None:
    node, released = Readiness(), asyncio.Event()

    async def wait() -> None:
        await released.wait()

    node.add("database", wait)
    first, second = (asyncio.create_task(reasons(node)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    released.set()
    assert await second == {}


async def test_a_check_with_a_bug_is_a_reason_and_its_message_is_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failure = RuntimeError("a " + "secret value")

    async def buggy() -> None:
        raise failure

    node = Readiness()
    node.add("clock", buggy)
    assert await reasons(node) == {"clock": "The check failed; the log says where."}
    assert "RuntimeError" in caplog.text
    assert "secret value" not in caplog.text


async def test_a_change_is_logged_once_in_both_directions(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "unexpired.server")
    seconds, state = Seconds(), {"skew": 0}
    node = Readiness(seconds)

    async def clock() -> str | None:
        return f"{state['skew']} seconds." if state["skew"] else None

    node.add("clock", clock)
    for skew in (0, 61, 62, 0, 0):
        state["skew"] = skew
        seconds.now += 1
        await reasons(node)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["not ready: clock: 61 seconds.", "ready again"]
