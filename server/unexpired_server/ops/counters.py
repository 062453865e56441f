"""Counts attempts within rates: in Redis, in a file that a node's workers share, or in memory.

Counting never fails a request: while a counter does not answer, the next one counts. The last one
is this process's memory.

SQLite counts for the workers of one node, and in memory for one process. It needs no further
process; a worker that is killed leaves the counts whole and the lock free; and expired counts are
found by an index, where the memory of ``limits`` reads all of them at each count. One count takes
some 20 microseconds, so it runs on the event loop.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable
from functools import cached_property
from pathlib import Path
from typing import Protocol

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from unexpired_server.extras import require
from unexpired_server.ops.breaker import TIMEOUT, Breaker
from unexpired_server.ops.metrics import SHARED_FOLDER

LOCK_SECONDS = 0.1
"""How long a worker waits for the file, in seconds; the others hold it for microseconds."""

PROBE: RateLimitItem = RateLimitItemPerMinute(1_000_000)
MEANWHILE = "attempts are counted here"

PURGE_EVERY = 1000
"""Counts between two purges of expired ones."""

MIN_WAIT = 1.0
"""Seconds that a key at its limit waits at least."""

FILE = "attempts.sqlite3"

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS attempts (
    key TEXT, period INTEGER, number INTEGER, expires REAL, PRIMARY KEY (key, period)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attempts_expires ON attempts (expires);
"""
READ = "SELECT period, number FROM attempts WHERE key = ? AND period >= ?"
COUNT = (
    "INSERT INTO attempts VALUES (?, ?, 1, ?) "
    "ON CONFLICT (key, period) DO UPDATE SET number = number + 1"
)
PURGE = "DELETE FROM attempts WHERE expires < ?"

logger: logging.Logger = logging.getLogger("unexpired.server")


class Counter(Protocol):
    """Counts attempts; both methods return the seconds to wait, 0 when within the rate."""

    async def test(self, rate: RateLimitItem, key: str) -> float:
        """Return whether another attempt is within the rate."""
        ...

    async def hit(self, rate: RateLimitItem, key: str) -> float:
        """Count an attempt, if it is within the rate."""
        ...

    async def probe(self) -> None:
        """Count something, because a read-only replica answers everything else."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class SQLiteCounter:
    """Counts in SQLite, by the sliding window of ``limits``.

    Args:
        path: A file, or this process's memory.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self._path = path
        self._until_purge = PURGE_EVERY
        _ = self._database  # A folder that cannot be used is found at the start.

    @cached_property
    def _database(self) -> sqlite3.Connection:
        """The connection; opened again after ``close``, as tests run one application again."""
        database = sqlite3.connect(
            self._path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
        database.executescript(SCHEMA)
        return database

    async def test(self, rate: RateLimitItem, key: str) -> float:
        """Return the seconds until another attempt is within the rate."""
        return self._wait(rate, rate.key_for(key), time.time())

    async def hit(self, rate: RateLimitItem, key: str) -> float:
        """Count an attempt, if it is within the rate; else return the seconds until it is."""
        now, name, seconds = time.time(), rate.key_for(key), rate.get_expiry()
        with self._database:  # Commits, or rolls back.
            self._database.execute("BEGIN IMMEDIATE")
            wait = self._wait(rate, name, now)
            if not wait:
                period = int(now // seconds)
                self._database.execute(COUNT, (name, period, (period + 2) * seconds))
                self._purge_now_and_then(now)
        return wait

    async def probe(self) -> None:
        """Count something."""
        await self.hit(PROBE, "probe")

    async def close(self) -> None:
        """Close the file."""
        if opened := self.__dict__.pop("_database", None):
            opened.close()

    def _wait(self, rate: RateLimitItem, name: str, now: float) -> float:
        seconds = rate.get_expiry()
        period, passed = divmod(now, seconds)
        counts = dict(self._database.execute(READ, (name, int(period) - 1)))
        before, current = counts.get(int(period) - 1, 0), counts.get(int(period), 0)
        left = seconds - passed
        # The last window counts by the share of it that is still within the rate's time.
        if before * left / seconds + current < rate.amount:
            return 0
        room = rate.amount - current
        return max(MIN_WAIT, left - room * seconds / before if room and before else left)

    def _purge_now_and_then(self, now: float) -> None:
        self._until_purge -= 1
        if self._until_purge <= 0:
            self._database.execute(PURGE, (now,))
            self._until_purge = PURGE_EVERY


def counter_in(folder: str) -> SQLiteCounter:
    """Return the counter that a node's workers share; the folder's first one creates its file.

    Raises:
        sqlite3.Error: The folder cannot be used.
    """
    return SQLiteCounter(str(Path(folder) / FILE))


class RedisCounter:
    """Counts in Redis, for several nodes.

    Args:
        url: Its URL.

    Raises:
        SettingsError: The Redis client is not installed.
    """

    def __init__(self, url: str) -> None:
        require("redis", "redis", "Setting rate_limit_url")
        self._storage = RedisStorage(
            f"async+{url}",
            implementation="redispy",
            key_prefix="unexpired",
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
        )
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)

    async def test(self, rate: RateLimitItem, key: str) -> float:
        """Return the seconds until another attempt is within the rate."""
        return 0 if await self._limiter.test(rate, key) else await self._wait(rate, key)

    async def hit(self, rate: RateLimitItem, key: str) -> float:
        """Count an attempt, if it is within the rate; else return the seconds until it is."""
        return 0 if await self._limiter.hit(rate, key) else await self._wait(rate, key)

    async def probe(self) -> None:
        """Count something."""
        await self.hit(PROBE, "probe")

    async def close(self) -> None:
        """Close the connections."""
        await self._storage.bridge.storage.aclose()  # type: ignore[attr-defined]

    async def _wait(self, rate: RateLimitItem, key: str) -> float:
        stats = await self._limiter.get_window_stats(rate, key)
        return max(MIN_WAIT, stats.reset_time - time.time())


class Counters:
    """The counters of one process; the first that answers counts.

    Args:
        redis_url: Redis, where several nodes count together.
    """

    def __init__(self, redis_url: str | None = None) -> None:
        self._memory = SQLiteCounter()
        self._breakers: list[Breaker[Counter]] = []
        if redis_url:
            self._add(RedisCounter(redis_url), "the limits' Redis")
        if folder := os.environ.get(SHARED_FOLDER):
            try:
                self._add(counter_in(folder), "the workers' shared file")
            except sqlite3.Error as exc:
                logger.warning("%s cannot be used: each worker counts its own attempts", exc)

    @property
    def is_degraded(self) -> bool:
        """Whether a counter does not answer, so that fewer share their counts than should."""
        return any(breaker.is_open for breaker in self._breakers)

    async def test(self, rate: RateLimitItem, key: str) -> float:
        """Return the seconds until another attempt is within the rate."""
        return await self._first(lambda counter: counter.test(rate, key))

    async def hit(self, rate: RateLimitItem, key: str) -> float:
        """Count an attempt, if it is within the rate; else return the seconds until it is."""
        return await self._first(lambda counter: counter.hit(rate, key))

    async def close(self) -> None:
        """Close all connections."""
        for breaker in self._breakers:
            await breaker.close()
        await self._memory.close()

    def _add(self, counter: Counter, name: str) -> None:
        self._breakers.append(Breaker(counter, name, MEANWHILE))

    async def _first(self, question: Callable[[Counter], Awaitable[float]]) -> float:
        for breaker in self._breakers:
            answer = await breaker.ask(question)
            if answer is not None:
                return answer
        return await question(self._memory)
