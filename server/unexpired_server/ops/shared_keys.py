"""Keys that only one of several nodes may add: shared in Redis, where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unexpired_server.extras import require
from unexpired_server.ops.breaker import TIMEOUT, Breaker

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREFIX = b"unexpired/proof/"
PROBE = b"unexpired/probe"
PROBE_SECONDS = 1


class RedisKeys:
    """Keys in Redis.

    Args:
        url: Its URL.

    Raises:
        SettingsError: The Redis client is not installed.
    """

    def __init__(self, url: str) -> None:
        require("redis", "redis", "Setting rate_limit_url")
        from redis.asyncio import Redis  # noqa: PLC0415 - an extra

        self._redis: Redis = Redis.from_url(
            url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
        )

    async def add(self, key: bytes, seconds: int) -> bool:
        """Add a key for some time; return whether it was not there."""
        return bool(await self._redis.set(PREFIX + key, b"", nx=True, ex=seconds))

    async def probe(self) -> None:
        """Write something."""
        await self._redis.set(PROBE, b"", ex=PROBE_SECONDS)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


class SharedKeys:
    """Keys that all nodes know; while Redis is away, each node knows its own only.

    Args:
        redis_url: Redis; without it nothing is shared.
        seconds: How long a key is kept.
    """

    def __init__(self, redis_url: str | None, seconds: float) -> None:
        self._seconds = round(seconds)
        self._breaker: Breaker[RedisKeys] | None = None
        if redis_url:
            self._breaker = Breaker(
                RedisKeys(redis_url),
                "the proofs' Redis",
                "a proof can be used once on each node",
            )

    @property
    def is_degraded(self) -> bool:
        """Whether Redis does not answer at the moment."""
        return self._breaker is not None and self._breaker.is_open

    async def add(self, key: bytes) -> bool:
        """Add a key; return False where another node has added it."""
        if self._breaker is None:
            return True
        return await self._breaker.ask(lambda keys: keys.add(key, self._seconds)) is not False

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._breaker:
            await self._breaker.close()
