"""Background jobs: they repeat, survive failures, and purge old rows."""

import asyncio

import pytest

from tests.server.harness import StartServer, TestServer, bearer
from tests.server.stores import rows
from unexpired_server.errors import Unavailable
from unexpired_server.ops.background import repeating

STORES = ("sqlite", "postgres")
DAY = 86_400


async def test_a_job_continues_after_any_failure_and_logs_no_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = [Unavailable(), RuntimeError("a " + "secret value")]
    recovered = asyncio.Event()

    async def job() -> None:
        if failures:
            raise failures.pop(0)
        recovered.set()

    async with repeating((0, job)), asyncio.timeout(5):
        await recovered.wait()
    assert "is unavailable" in caplog.text
    assert "RuntimeError" in caplog.text
    assert "secret value" not in caplog.text


async def test_jobs_end_with_their_context() -> None:
    runs = 0

    async def job() -> None:
        nonlocal runs
        runs += 1

    async with repeating((0, job)), asyncio.timeout(5):
        while runs < 3:
            await asyncio.sleep(0)
    seen = runs
    for _ in range(10):
        await asyncio.sleep(0)
    assert runs == seen


async def test_a_long_job_does_not_delay_the_shutdown() -> None:
    """A purge may have millions of rows to delete when the server stops."""
    started = asyncio.Event()

    async def job() -> None:
        started.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(5), repeating((0, job)):
        await started.wait()


async def test_only_ended_sessions_and_old_keys_are_purged(
    start: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await start()
    tokens = await node.sign_in()
    headers = {**bearer(tokens["accessToken"]), "Idempotency-Key": "k"}
    await node.http.post("/api/notes", json={"text": "x"}, headers=headers)
    monkeypatch.setattr("unexpired_server.service.PURGE_INTERVAL", 0)
    node.clock.advance(8 * DAY)
    kept = await node.sign_in()
    await start()
    await until(node, "SELECT count(*) FROM idempotency_keys", 0)
    assert await count(node, "SELECT count(*) FROM sessions") == 2
    node.clock.advance(1)
    await until(node, "SELECT count(*) FROM sessions", 1)
    assert (await node.refresh(tokens["refreshToken"])).json()["code"] == "REFRESH_EXPIRED"
    assert (await node.refresh(kept["refreshToken"])).status_code == 200
    assert await count(node, "SELECT count(*) FROM notes") == 1


async def until(node: TestServer, query: str, expected: int) -> None:
    async with asyncio.timeout(5):
        while await count(node, query) != expected:
            await asyncio.sleep(0)


async def count(node: TestServer, query: str) -> int:
    return int((await rows(node.settings.database_url, query))[0][0])


async def test_a_purge_works_in_batches_and_deletes_old_events_too(
    start: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unexpired_server.sessions.store.BATCH", 2)
    monkeypatch.setattr("unexpired_server.service.PURGE_INTERVAL", 0)
    node = await start()
    for _ in range(5):
        await node.sign_in()
    node.clock.advance(31 * DAY + 1)
    await node.sign_in()
    await until(node, "SELECT count(*) FROM sessions", 1)
    assert await count(node, "SELECT count(*) FROM events") == 6
    node.clock.advance(60 * DAY)
    await until(node, "SELECT count(*) FROM events", 1)
