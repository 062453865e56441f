"""Rate limits of sign-ins and refreshes.

==================  ============================  ==============================================
setting             limits                        by
==================  ============================  ==============================================
``login_limit``     failed sign-ins               account and address together
``account_limit``   failed sign-ins               account, over all addresses
``address_limit``   failed sign-ins, forged       address, over all accounts
                    tokens, tokens without their
                    key, forgotten passwords,
                    codes that are not good
``sign_in_limit``   successful sign-ins           account
``refresh_limit``   refreshes                     session
``signup_limit``    sign-ups                      address
``forgot_limit``    forgotten passwords           account
==================  ============================  ==============================================

So a mistake costs the one who makes it. Ten colleagues behind one address may all mistype; a
password that is guessed from elsewhere does not lock its owner out at once, and never where the
owner has signed in before; forged refresh tokens do not stop an authentic one, and those that come
without their session's key do not stop the session.

A limit is checked before the effect that it limits, and counted after it. What is committed is
always answered: its count runs in the background, and takes effect at the next check.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, IPv6Network

from limits import parse

from unexpired_server.errors import RateLimited
from unexpired_server.http.client_address import parse_address
from unexpired_server.ops.counters import Counters
from unexpired_server.sessions.usernames import account_hash
from unexpired_server.settings import Settings

IPV6_PREFIX = 64
"""The network of one customer, who can use all of its addresses."""

RECENT_KEYS = 100_000
"""How many keys are remembered as recent, twice: 30 MB at most."""

UNSHARED = 0.02
"""The share of its limit that a session may use in a minute or two before the shared counters are
asked: so much more than the limit it may be refreshed at each node."""

RECENT_SECONDS = 60.0
"""How long they are remembered at least, unless there are more."""


def account_key(username: str) -> str:
    """Return the key of an account, hashed, because people type passwords as usernames."""
    return "account " + account_hash(username)


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
    """One limit: checked before an attempt, counted after it.

    Args:
        rate: Such as "10 per 5 minutes"; no limit when empty.
        counters: Count the attempts.
    """

    def __init__(self, rate: str, counters: Counters) -> None:
        self._rate = parse(rate) if rate else None
        self._counters = counters

    @property
    def amount(self) -> int:
        """How many attempts it allows; 0 where there is no limit."""
        return self._rate.amount if self._rate else 0

    async def wait(self, key: str) -> float:
        """Return the seconds until a key may make another attempt; 0 when it may now."""
        return await self._counters.test(self._rate, key) if self._rate else 0

    async def count(self, key: str) -> float:
        """Count an attempt; return 0, or the seconds to wait when the key was at its limit.

        Guesses made at once all pass the check before; so this decides which of them are answered.
        """
        return await self._counters.hit(self._rate, key) if self._rate else 0


class Background:
    """Counts of what is answered already."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[float]] = set()

    def count(self, limit: Limit, key: str) -> None:
        """Count an attempt, without waiting for it."""
        task = asyncio.create_task(limit.count(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait until all is counted."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


class SignInLimits:
    """The limits of sign-ins.

    Args:
        settings: The rates.
        counters: Count the attempts.
        background: Counts successful sign-ins.
        is_known: Returns whether an account has signed in from an address before.
    """

    def __init__(
        self,
        settings: Settings,
        counters: Counters,
        background: Background,
        is_known: Callable[[str, str | None], Awaitable[bool]],
    ) -> None:
        self._pair = Limit(settings.login_limit, counters)
        self._account = Limit(settings.account_limit, counters)
        self._address = Limit(settings.address_limit, counters)
        self._successes = Limit(settings.sign_in_limit, counters)
        self._background = background
        self._is_known = is_known

    async def check(self, username: str, address: str | None) -> None:
        """Check that a sign-in may be attempted.

        Raises:
            RateLimited: It may not.
        """
        account, origin = account_key(username), address_key(address)
        own = [
            await self._pair.wait(f"{account} {origin}"),
            await self._successes.wait(f"{account} signed in"),
        ]
        wide = [await self._account.wait(account), await self._address.wait(origin)]
        await self._raise_if_limited(own, wide, username, address)

    async def count_failure(self, username: str, address: str | None) -> None:
        """Count a failed sign-in.

        Raises:
            RateLimited: The limit was reached: guesses made at once reveal no more than those
                made in a row.
        """
        account, origin = account_key(username), address_key(address)
        own = [await self._pair.count(f"{account} {origin}")]
        wide = [0.0]
        if not any(own):  # What is not answered is not counted against others.
            wide = [await self._account.count(account), await self._address.count(origin)]
        await self._raise_if_limited(own, wide, username, address)

    async def check_successes(self, username: str) -> None:
        """Check that an account may sign in once more; failed guesses at its password do not count.

        Raises:
            RateLimited: It may not.
        """
        _raise_after(await self._successes.wait(f"{account_key(username)} signed in"))

    def count_success(self, username: str) -> None:
        """Count a successful sign-in."""
        self._background.count(self._successes, f"{account_key(username)} signed in")

    async def _raise_if_limited(
        self, own: list[float], wide: list[float], username: str, address: str | None
    ) -> None:
        if any(wide) and await self._is_known(username, address):
            wide = [0]
        if wait := max(*own, *wide):
            raise RateLimited(max(1, math.ceil(wait)))


class RefreshLimits:
    """The limits of refreshes.

    An honest session refreshes once within minutes, and a little more often when something went
    wrong. That is only remembered here; shared counters are asked from the moment when a session
    has refreshed so often within a minute or two that somebody may be about to reach its limit.

    Args:
        settings: The rates.
        counters: Count the attempts.
        background: Counts refreshes.
        now: The clock of all nodes, in Unix seconds.
    """

    def __init__(
        self,
        settings: Settings,
        counters: Counters,
        background: Background,
        now: Callable[[], float],
    ) -> None:
        self._limit = Limit(settings.refresh_limit, counters)
        self._unshared = max(1, int(self._limit.amount * UNSHARED))
        self._forged = Limit(settings.address_limit, counters)
        self._background = background
        self._recent = RecentKeys(now)

    async def check(self, session_id: str) -> None:
        """Check that a session may be refreshed.

        Raises:
            RateLimited: It may not.
        """
        key = session_key(session_id)
        if self._recent.times(key) >= self._unshared and (wait := await self._limit.wait(key)):
            raise RateLimited(max(1, math.ceil(wait)))

    def count(self, session_id: str) -> None:
        """Count a refresh by an authentic token, whatever came of it."""
        key = session_key(session_id)
        if self._recent.add(key) > self._unshared:
            self._background.count(self._limit, key)

    async def count_forged(self, address: str | None) -> None:
        """Count a token that is not authentic, or that comes without its session's key.

        Raises:
            RateLimited: The address has sent too many.
        """
        if wait := await self._forged.count(f"forged {address_key(address)}"):
            raise RateLimited(max(1, math.ceil(wait)))


class SignUpLimits:
    """The limits of sign-ups.

    Args:
        settings: The rates.
        counters: Count the attempts.
    """

    def __init__(self, settings: Settings, counters: Counters) -> None:
        self._limit = Limit(settings.signup_limit, counters)

    async def check(self, address: str | None) -> None:
        """Check that an address may try to create an account.

        Raises:
            RateLimited: It may not.
        """
        _raise_after(await self._limit.wait(_sign_up_key(address)))

    async def count(self, address: str | None) -> None:
        """Count an attempt just before it has an effect, or tells that a name is taken.

        Raises:
            RateLimited: The limit was reached.
        """
        _raise_after(await self._limit.count(_sign_up_key(address)))


class ResetLimits:
    """The limits of forgotten passwords.

    Args:
        settings: The rates.
        counters: Count the attempts.
    """

    def __init__(self, settings: Settings, counters: Counters) -> None:
        self._account = Limit(settings.forgot_limit, counters)
        self._address = Limit(settings.address_limit, counters)

    async def count_request(self, username: str, address: str | None) -> bool:
        """Count a request for a link; return whether the account may be sent one more.

        Raises:
            RateLimited: The address has sent too many requests.
        """
        _raise_after(await self._address.count(f"forgot {address_key(address)}"))
        return not await self._account.count(f"{account_key(username)} forgot")

    async def count_forged(self, address: str | None) -> None:
        """Count a link that is not valid.

        Raises:
            RateLimited: The address has sent too many.
        """
        _raise_after(await self._address.count(f"reset {address_key(address)}"))


class ProviderLimits:
    """The limits of sign-ins at a provider.

    Args:
        settings: The rates.
        counters: Count the attempts.
    """

    def __init__(self, settings: Settings, counters: Counters) -> None:
        self._address = Limit(settings.address_limit, counters)

    async def check(self, address: str | None) -> None:
        """Check that an address may have a code looked at, here or by the provider.

        Raises:
            RateLimited: It may not.
        """
        _raise_after(await self._address.wait(_provider_key(address)))

    async def count_forged(self, address: str | None) -> None:
        """Count a code that was not good.

        Raises:
            RateLimited: The address has sent too many.
        """
        _raise_after(await self._address.count(_provider_key(address)))


def _provider_key(address: str | None) -> str:
    return f"provider {address_key(address)}"


def _sign_up_key(address: str | None) -> str:
    return f"sign-up {address_key(address)}"


def _raise_after(wait: float) -> None:
    if wait:
        raise RateLimited(max(1, math.ceil(wait)))


class RecentKeys:
    """The keys of the last minutes: at least of one ``RECENT_SECONDS``, at most of two.

    Args:
        now: A clock, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._current: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._since = now()

    def add(self, key: str) -> int:
        """Remember a key once more; return how many times it is known now."""
        self._forget()
        times = self._current[key] = self._current.get(key, 0) + 1
        return times + self._last.get(key, 0)

    def times(self, key: str) -> int:
        """Return how many times a key was added."""
        self._forget()
        return self._current.get(key, 0) + self._last.get(key, 0)

    def _forget(self) -> None:
        now = self._now()
        passed = now - self._since
        if passed >= RECENT_SECONDS or len(self._current) >= RECENT_KEYS:
            self._last = self._current if passed < 2 * RECENT_SECONDS else {}
            self._current = {}
            self._since = now


class RateLimits:
    """The limits of one process.

    Args:
        settings: The rates, and the URL of Redis where nodes count together.
        is_known: Returns whether an account has signed in from an address before.
        now: The clock of all nodes, in Unix seconds.

    Attributes:
        sign_in: The limits of sign-ins.
        refresh: The limits of refreshes.
        sign_up: The limits of sign-ups.
        reset: The limits of forgotten passwords.
        provider: The limits of sign-ins at a provider.

    Raises:
        SettingsError: There is a URL, and the Redis client is not installed.
    """

    def __init__(
        self,
        settings: Settings,
        is_known: Callable[[str, str | None], Awaitable[bool]],
        now: Callable[[], float],
    ) -> None:
        self._counters = Counters(settings.rate_limit_url)
        self._background = Background()
        shared = self._counters, self._background
        self.sign_in: SignInLimits = SignInLimits(settings, *shared, is_known)
        self.refresh: RefreshLimits = RefreshLimits(settings, *shared, now)
        self.sign_up: SignUpLimits = SignUpLimits(settings, self._counters)
        self.reset: ResetLimits = ResetLimits(settings, self._counters)
        self.provider: ProviderLimits = ProviderLimits(settings, self._counters)

    @property
    def is_degraded(self) -> bool:
        """Whether attempts are counted in fewer places than the settings say."""
        return self._counters.is_degraded

    async def close(self) -> None:
        """Finish counting, and close the connections to Redis."""
        await self._background.close()
        await self._counters.close()
