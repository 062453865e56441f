"""All of the server but the HTTP around it, put together from its settings.

Other applications mount this: its routes, its bearer for their own, and its life beside theirs.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from starlette.routing import Route

from unexpired_server.http.bearer import BearerAuthenticator
from unexpired_server.http.rate_limits import RateLimits
from unexpired_server.http.routes.account import Account
from unexpired_server.http.routes.authentication import Authentication
from unexpired_server.ops.background import repeating
from unexpired_server.ops.metrics import Metrics
from unexpired_server.sessions.passwords import Passwords
from unexpired_server.sessions.revocations import POLL_SECONDS, Revocations
from unexpired_server.sessions.rules import RefreshTokens, SessionPolicy
from unexpired_server.sessions.store import Store
from unexpired_server.sessions.users import Users
from unexpired_server.settings import Settings, SettingsError
from unexpired_server.storage.database import Database
from unexpired_server.tokens.access_tokens import AccessTokens
from unexpired_server.tokens.keys import KeyRing, load_ring, renew

DEMO_NAME = "demo"
PURGE_INTERVAL = 3600.0

Purge = Callable[[float], Awaitable[None]]
"""Deletes what is over at a time, in Unix seconds."""


class Service:
    """Issues, verifies, renews and revokes; nothing runs until `running` is entered.

    Args:
        settings: How it behaves.
        now: The clock, in Unix seconds.
        hasher: Argon2's parameters; RFC 9106's low-memory ones when None.

    Raises:
        SettingsError: The keys or the database URL cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self.settings = settings
        self.now = now
        self.ring: KeyRing = load_ring(settings, now())
        self.policy: SessionPolicy = policy_of(settings)
        self.database: Database = Database(settings.database_url)
        self.users: Users = Users(self.database)
        self.store: Store = Store(self.database, self.policy)
        self.passwords: Passwords = Passwords(hasher)
        self.metrics: Metrics = Metrics()
        self.rates: RateLimits = RateLimits(
            settings.rate_limit_url, settings.login_limit, settings.refresh_limit
        )
        self.access: AccessTokens = AccessTokens(self.ring, settings, now)
        memory = settings.access_ttl + settings.leeway
        self.revocations: Revocations = Revocations(self.store, memory, now)
        self.bearer: BearerAuthenticator = BearerAuthenticator(
            self.access, self.revocations, self.metrics
        )
        self._purges: list[Purge] = [self.store.purge_ended]

    def routes(self) -> list[Route]:
        """Sign in, refresh, sign out; who am I, and where am I signed in."""
        authentication = Authentication(
            users=self.users,
            passwords=self.passwords,
            rates=self.rates,
            metrics=self.metrics,
            store=self.store,
            policy=self.policy,
            revocations=self.revocations,
            access=self.access,
            refresh_tokens=RefreshTokens(self.ring) if self.settings.refresh else None,
            bearer=self.bearer,
            now=self.now,
        )
        account = Account(
            users=self.users,
            store=self.store,
            policy=self.policy,
            revocations=self.revocations,
            bearer=self.bearer,
            now=self.now,
        )
        return [*authentication.routes(), *account.routes()]

    def purge_also(self, purge: Purge) -> None:
        """Call an application's own purge whenever ended sessions are purged."""
        self._purges.append(purge)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the database, and hear of revocations and keys for as long as this is open.

        Raises:
            SettingsError: The database needs a migration, or the demo asks for a real one.
            Unavailable: The database does not answer.
        """
        await prepare(self.database, self.settings, self.passwords, self.now())
        await self.revocations.poll()
        jobs = (
            (POLL_SECONDS, self.revocations.poll),
            (POLL_SECONDS, self._renew_keys),
            (PURGE_INTERVAL, self._tidy),
        )
        async with repeating(*jobs):
            yield
        self.passwords.close()
        await self.rates.close()
        await self.database.close()

    async def _renew_keys(self) -> None:
        if self.settings.secret is None:
            renew(self.ring, self.settings.keys_file, self.now())

    async def _tidy(self) -> None:
        for purge in self._purges:
            await purge(self.now())


def policy_of(settings: Settings) -> SessionPolicy:
    """How long sessions last; without refresh tokens, as long as their access token."""
    if not settings.refresh:
        return SessionPolicy(settings.access_ttl, settings.access_ttl, grace=0)
    return SessionPolicy(
        idle_ttl=settings.refresh_idle_ttl,
        absolute_ttl=settings.refresh_absolute_ttl,
        grace=settings.refresh_grace,
        rotation=settings.rotation,
    )


def longest_life(settings: Settings) -> float:
    """How long after its signing the last token of a key dies, in seconds."""
    access = settings.access_ttl + settings.leeway
    if not settings.refresh:
        return access
    # A refresh token that is never replaced lives as long as its session.
    refresh = settings.refresh_idle_ttl if settings.rotation else settings.refresh_absolute_ttl
    return max(access, refresh)


async def prepare(database: Database, settings: Settings, passwords: Passwords, now: float) -> None:
    """Make what must be in the database before the first request.

    Raises:
        SettingsError: The database needs a migration, or the demo asks for a real one.
        Unavailable: The database does not answer.
    """
    await database.open()
    if settings.demo:
        await _seed_demo(Users(database), passwords, now)


async def _seed_demo(users: Users, passwords: Passwords, now: float) -> None:
    if await users.find(DEMO_NAME):
        return
    if await users.any_but(DEMO_NAME):
        raise SettingsError(
            "This database has users of its own, and the demo's password is known to everybody: "
            "give the demo another database"
        )
    await users.add(DEMO_NAME, passwords.hash(DEMO_NAME), now)
