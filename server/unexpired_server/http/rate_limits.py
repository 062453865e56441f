"""Rate limits per account, per session and per IP address.

Only failures count (a wrong password), and what no honest client does (two refreshes of a
session within a second). So a large office behind one address is not locked out, and a busy
server counts next to nothing.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv6Address, IPv6Network

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import RateLimiter, SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from unexpired_server.errors import RateLimited
from unexpired_server.extras import require
from unexpired_server.http.client_address import parse_address

IPV6_PREFIX = 64
"""The network of one customer, who can use all of its addresses."""

REDIS_TIMEOUT = 1.0
"""Seconds that Redis may take; after that each node counts its own."""

LimiterCall = Callable[[RateLimiter, RateLimitItem, str], Awaitable[bool]]

logger: logging.Logger = logging.getLogger("unexpired.server")


def account_key(username: str) -> str:
    """Return the key of an account, hashed, because people type passwords as usernames."""
    return "account " + hashlib.sha256(username.encode("utf-8", "replace")).hexdigest()[:32]


def session_key(session_id: str) -> str:
    """Return the key of a session."""
    return "session " + session_id


def address_key(address: str | None) -> str:
    """Return the key of an address; for IPv6 of its network, where addresses cost nothing."""
    parsed = parse_address(address or "")
    if isinstance(parsed, IPv6Address):
        parsed = IPv6Network((parsed, IPV6_PREFIX), strict=False).network_address
    return f"address {parsed or 'unknown'}"


class Limit:
    """One limit: checked before an attempt, counted after a failed one.

    Args:
        rate: Such as "10 per 5 minutes"; no limit when empty.
        local: Counts in this node's memory.
        shared: Counts for several nodes, where they share a Redis.
    """

    def __init__(self, rate: str, local: RateLimiter, shared: RateLimiter | None) -> None:
        self._item = parse(rate) if rate else None
        self._local = local
        self._shared = shared

    async def check(self, *keys: str) -> None:
        """Check that every key may make another attempt.

        Raises:
            RateLimited: One may not.
        """
        await self._each(keys, lambda limiter, item, key: limiter.test(item, key))

    async def count(self, *keys: str) -> None:
        """Count an attempt for every key.

        Raises:
            RateLimited: One was at its limit: guesses made at once reveal no more than those
                made in a row.
        """
        await self._each(keys, lambda limiter, item, key: limiter.hit(item, key))

    async def _each(self, keys: Sequence[str], call: LimiterCall) -> None:
        waits = [await self._wait(key, call) for key in keys] if self._item else []
        if any(waits):
            raise RateLimited(math.ceil(max(waits)))

    async def _wait(self, key: str, call: LimiterCall) -> float:
        """Return the seconds that a key has to wait; 0 when it is within the limit."""
        if self._shared:
            try:
                return await self._apply(self._shared, key, call)
            except StorageError as exc:
                name = type(exc.storage_error).__name__
                logger.warning("the limits' Redis is unavailable (%s): counting here", name)
        return await self._apply(self._local, key, call)

    async def _apply(self, limiter: RateLimiter, key: str, call: LimiterCall) -> float:
        if self._item is None or await call(limiter, self._item, key):
            return 0
        stats = await limiter.get_window_stats(self._item, key)
        return max(1, stats.reset_time - time.time())


class RateLimits:
    """The limits of one node.

    Args:
        url: A Redis URL; this node's memory when None.
        login: How many failed sign-ins an account or an address may have.
        refresh: How many refreshes may be refused, or follow within a second.

    Attributes:
        login: The limit for sign-ins.
        refresh: The limit for refreshes.

    Raises:
        SettingsError: There is a URL, and the Redis client is not installed.
    """

    def __init__(self, url: str | None, login: str, refresh: str) -> None:
        local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis = _redis(url) if url else None
        shared = SlidingWindowCounterRateLimiter(self._redis) if self._redis else None
        self.login: Limit = Limit(login, local, shared)
        self.refresh: Limit = Limit(refresh, local, shared)

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._redis:
            await self._redis.bridge.storage.aclose()  # type: ignore[attr-defined]


def _redis(url: str) -> RedisStorage:
    require("redis", "redis", "Setting rate_limit_url")
    return RedisStorage(
        f"async+{url}",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="unexpired",
        socket_timeout=REDIS_TIMEOUT,
        socket_connect_timeout=REDIS_TIMEOUT,
    )
