"""Rate limits: what was tried too often waits, per account and per address.

Only what went wrong is counted (a wrong password), or what no honest client does (a session
refreshed twice within a second): so an office behind one address is not locked out by its size,
and a busy server counts next to nothing.
"""

import hashlib
import ipaddress
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import RateLimiter, SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from unexpired_server.errors import RateLimited

IPV6_PREFIX = 64
"""One customer's network, all of whose addresses are theirs to use."""

REDIS_SECONDS = 1.0
"""How long Redis may take; then this node counts alone."""

Question = Callable[[RateLimiter, RateLimitItem, str], Awaitable[bool]]

logger: logging.Logger = logging.getLogger("unexpired.server")


def account_key(username: str) -> str:
    """An account as a key; hashed, for people type passwords where their name belongs."""
    return "account " + hashlib.sha256(username.encode("utf-8", "replace")).hexdigest()[:32]


def session_key(session_id: str) -> str:
    """A session as a key."""
    return "session " + session_id


def address_key(address: str | None) -> str:
    """An address as a key: of IPv6 the network, for its addresses cost nothing."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "address unknown"
    if parsed.version == 6:  # noqa: PLR2004 - the protocol's name
        parsed = ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False).network_address
    return f"address {parsed}"


class Limit:
    """One limit: checked before work is done, and counted by what the work showed.

    Args:
        rate: How much, such as "10 per 5 minutes"; there is no limit when empty.
        here: Counts in this node's memory.
        shared: Counts for several nodes, when there is a place for it.
    """

    def __init__(self, rate: str, here: RateLimiter, shared: RateLimiter | None) -> None:
        self._item = parse(rate) if rate else None
        self._here = here
        self._shared = shared

    async def check(self, *keys: str) -> None:
        """See that every key has a try left.

        Raises:
            RateLimited: One has not.
        """
        await self._each(keys, lambda limiter, item, key: limiter.test(item, key))

    async def count(self, *keys: str) -> None:
        """Take a try from every key.

        Raises:
            RateLimited: One had none: guesses made at once learn no more than those in a row.
        """
        await self._each(keys, lambda limiter, item, key: limiter.hit(item, key))

    async def _each(self, keys: Sequence[str], question: Question) -> None:
        waits = [await self._wait(key, question) for key in keys] if self._item else []
        if any(waits):
            raise RateLimited(math.ceil(max(waits)))

    async def _wait(self, key: str, question: Question) -> float:
        """Seconds that a key has to wait; 0 when it need not."""
        if self._shared:
            try:
                return await self._ask(self._shared, key, question)
            except StorageError as exc:
                name = type(exc.storage_error).__name__
                logger.warning("the limits' Redis does not answer (%s): counting here", name)
        return await self._ask(self._here, key, question)

    async def _ask(self, limiter: RateLimiter, key: str, question: Question) -> float:
        if self._item is None or await question(limiter, self._item, key):
            return 0
        stats = await limiter.get_window_stats(self._item, key)
        return max(1, stats.reset_time - time.time())


class RateLimits:
    """The limits of one node.

    Args:
        url: A Redis URL; this node's memory when None.
        login: How many failed sign-ins an account or an address has.
        refresh: How many refreshes that are refused, or follow within a second.

    Attributes:
        login: The limit for signing in.
        refresh: The limit for refreshing.
    """

    def __init__(self, url: str | None, login: str, refresh: str) -> None:
        here = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis = _redis(url) if url else None
        shared = SlidingWindowCounterRateLimiter(self._redis) if self._redis else None
        self.login: Limit = Limit(login, here, shared)
        self.refresh: Limit = Limit(refresh, here, shared)

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._redis:
            await self._redis.bridge.storage.aclose()  # type: ignore[attr-defined]


def _redis(url: str) -> RedisStorage:
    return RedisStorage(
        f"async+{url}",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="unexpired",
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
    )
