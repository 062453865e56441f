"""Where attempts are counted, and what happens when a counter does not answer."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from limits import parse

from tests.server.harness import StartServer, TestServer
from tests.support.redis_server import RedisServer
from unexpired_server.ops import breaker, counters
from unexpired_server.ops.counters import Counter, Counters, SQLiteCounter
from unexpired_server.ops.metrics import SHARED_FOLDER

TEN = parse("10 per hour")


async def hits(counter: Counter | Counters, times: int, key: str = "ada") -> int:
    """Return how many of that many attempts are within the rate."""
    return [await counter.hit(TEN, key) == 0 for _ in range(times)].count(True)


async def fail_to_sign_in(node: TestServer, times: int) -> list[int]:
    return [(await node.login(password="wrong")).status_code for _ in range(times)]


# -- SQLite ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [":memory:", "attempts.sqlite3"])
async def test_attempts_are_counted_up_to_the_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    counter = SQLiteCounter(path)
    assert await counter.test(TEN, "ada") == 0
    assert await hits(counter, 12) == 10
    assert 0 < await counter.test(TEN, "ada") <= 3600
    assert await counter.test(TEN, "bob") == 0
    await counter.close()


async def test_the_window_slides(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the window's end, what was counted in it counts less and less."""
    now = 3600.0 * 1000
    monkeypatch.setattr(time, "time", lambda: now)
    counter = SQLiteCounter()
    now += 3599
    assert await hits(counter, 12) == 10
    now += 1 + 1800
    assert await hits(counter, 12) == 5
    wait = await counter.test(TEN, "ada")
    now += wait - 1
    assert await counter.test(TEN, "ada") > 0
    now += 2
    assert await counter.test(TEN, "ada") == 0
    now += 7200
    assert await hits(counter, 12) == 10
    await counter.close()


async def test_expired_counts_are_deleted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(counters, "PURGE_EVERY", 10)
    now = 3600.0 * 1000
    monkeypatch.setattr(time, "time", lambda: now)
    file = str(tmp_path / "attempts.sqlite3")
    counter = SQLiteCounter(file)
    for i in range(100):
        await counter.hit(TEN, f"user{i}")
        now += 600
    with sqlite3.connect(file) as other:
        (left,) = other.execute("SELECT count(*) FROM attempts").fetchone()
    other.close()
    assert left < 30
    await counter.close()


def test_workers_that_count_at_once_count_together(tmp_path: Path) -> None:
    """Each thread stands for a worker, with a connection of its own."""

    def work(_worker: int) -> int:
        counter = SQLiteCounter(str(tmp_path / "attempts.sqlite3"))
        done = asyncio.run(hits(counter, 5))
        asyncio.run(counter.close())
        return done

    asyncio.run(SQLiteCounter(str(tmp_path / "attempts.sqlite3")).close())
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 10


async def test_a_worker_counts_in_memory_while_the_file_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SHARED_FOLDER, str(tmp_path))
    monkeypatch.setattr(breaker, "PROBE_INTERVAL", 0.01)
    counted = Counters()
    with sqlite3.connect(tmp_path / counters.FILE, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert await hits(counted, 12) == 10
        assert counted.is_degraded
        other.execute("COMMIT")
    other.close()
    await until(lambda: not counted.is_degraded)
    assert caplog.text.count("is unavailable") == 1
    await counted.close()


async def test_a_folder_that_cannot_be_used_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SHARED_FOLDER, str(tmp_path / "missing"))
    counted = Counters()
    assert "each worker counts its own attempts" in caplog.text
    assert await hits(counted, 12) == 10
    await counted.close()


# -- Redis -----------------------------------------------------------------------------------------


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_each_node_counts_its_own_attempts_while_redis_is_down(
    start: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    node = await start(rate_limit_url="redis://127.0.0.1:1/0")
    assert await fail_to_sign_in(node, 11) == [401] * 10 + [429]
    assert caplog.text.count("is unavailable") == 1


async def test_a_redis_that_hangs_delays_one_request_and_is_used_again_later(
    start: StartServer,
    redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(breaker, "PROBE_INTERVAL", 0.01)
    monkeypatch.setattr(counters, "TIMEOUT", 0.5)
    node = await start(rate_limit_url=redis.url)
    token = (await node.refreshed((await node.sign_in())["refreshToken"]))["refreshToken"]
    redis.hang()
    started_at = time.monotonic()
    assert await fail_to_sign_in(node, 11) == [401] * 10 + [429]
    for _ in range(5):
        token = (await node.refreshed(token))["refreshToken"]
    assert time.monotonic() - started_at < 3 * breaker.TIMEOUT
    assert node.app.state.service.rates.is_degraded
    redis.resume()
    await until(lambda: not node.app.state.service.rates.is_degraded)
    assert caplog.text.count("is unavailable") == 1
    assert caplog.text.count("is available again") == 1
    assert await fail_to_sign_in(node, 11) == [401] * 10 + [429]


@pytest.mark.parametrize("options", [(), ("--requirepass", "secret")], ids=["OOM", "NOAUTH"])
async def test_a_redis_that_refuses_is_no_5xx(
    start: StartServer, tmp_path: Path, options: tuple[str, ...]
) -> None:
    server = RedisServer(tmp_path, *options).start()
    try:
        if not options:
            server.command("CONFIG", "SET", "maxmemory", "1")
        node = await start(rate_limit_url=server.url)
        assert await fail_to_sign_in(node, 11) == [401] * 10 + [429]
        assert node.app.state.service.rates.is_degraded
    finally:
        server.stop()


async def test_a_redis_that_becomes_a_replica_and_comes_back_empty_costs_nothing(
    start: StartServer, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "PROBE_INTERVAL", 0.01)
    node = await start(rate_limit_url=redis.url)
    rates = node.app.state.service.rates
    assert await fail_to_sign_in(node, 2) == [401] * 2
    assert redis.command("REPLICAOF", "127.0.0.1", "1").startswith(b"+OK")
    assert await fail_to_sign_in(node, 2) == [401] * 2
    assert rates.is_degraded  # It reads, but does not count.
    redis.stop()
    assert await fail_to_sign_in(node, 2) == [401] * 2
    redis.start()  # Without its scripts and its counts.
    await until(lambda: not rates.is_degraded)
    assert await fail_to_sign_in(node, 11) == [401] * 10 + [429]


async def test_redis_is_not_asked_for_a_refresh_when_the_session_was_not_refreshed_lately(
    start: StartServer, redis: RedisServer
) -> None:
    node = await start(rate_limit_url=redis.url)
    tokens = [(await node.sign_in())["refreshToken"] for _ in range(3)]
    before = -1
    while before + 1 != (before := commands(redis)):  # The sign-ins are counted in the background.
        await asyncio.sleep(0.05)
    for token in tokens:
        assert (await node.refresh(token)).status_code == 200
    await asyncio.sleep(0)
    assert commands(redis) == before + 1  # The command that asked.


async def test_redis_is_asked_when_a_session_has_used_a_fiftieth_of_its_limit(
    start: StartServer, redis: RedisServer
) -> None:
    node = await start(rate_limit_url=redis.url, refresh_limit="150 per minute")
    token = (await node.sign_in())["refreshToken"]
    before = -1
    while before + 1 != (before := commands(redis)):
        await asyncio.sleep(0.05)
    for _ in range(3):
        token = (await node.refreshed(token))["refreshToken"]
    assert commands(redis) == before + 1  # The command that asked.
    await node.refreshed(token)
    assert commands(redis) > before + 2


def commands(redis: RedisServer) -> int:
    """Return how many commands Redis has processed."""
    stats = redis.command("INFO", "stats").decode()
    (line,) = [line for line in stats.splitlines() if "total_commands_processed" in line]
    return int(line.partition(":")[2])


async def test_closing_does_not_wait_for_a_redis_that_hangs(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "TIMEOUT", 0.2)
    counted = Counters(redis.url)
    assert await hits(counted, 1) == 1
    redis.hang()
    assert await hits(counted, 1) == 1
    async with asyncio.timeout(5):
        await counted.close()
