"""All of the server but the HTTP around it, put together from its settings.

Other applications mount this: its routes, its bearer for their own, and its life beside theirs.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from starlette.routing import Route

from server.background import repeating
from server.bearer import Bearer
from server.database import Database
from server.keys import load_ring, renew
from server.metrics import Metrics
from server.notes import Notes
from server.passwords import Passwords
from server.rates import Rates
from server.revocations import POLL_SECONDS, Revocations
from server.routes.account import Account
from server.routes.authentication import Authentication
from server.sessions import Policy, RefreshTokens
from server.settings import Settings, SettingsError
from server.store import Store
from server.tokens import AccessTokens
from server.users import Users

DEMO_NAME = "demo"
TIDY_SECONDS = 3600.0


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
        self.ring = load_ring(settings, now())
        self.policy = policy_of(settings)
        self.database = Database(settings.database_url)
        self.users = Users(self.database)
        self.store = Store(self.database, self.policy)
        self.notes = Notes(self.database)
        self.passwords = Passwords(hasher)
        self.metrics = Metrics()
        self.rates = Rates(settings.rate_limit_url, settings.login_limit, settings.refresh_limit)
        self.access = AccessTokens(self.ring, settings, now)
        memory = settings.access_ttl + settings.leeway
        self.revocations = Revocations(self.store, memory, now)
        self.bearer = Bearer(self.access, self.revocations, self.metrics)

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
            (TIDY_SECONDS, self._tidy),
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
        await self.store.forget_ended(self.now())
        await self.notes.forget_keys(self.now())


def policy_of(settings: Settings) -> Policy:
    """How long sessions last; without refresh tokens, as long as their access token."""
    if not settings.refresh:
        return Policy(settings.access_ttl, settings.access_ttl, grace=0)
    return Policy(
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
