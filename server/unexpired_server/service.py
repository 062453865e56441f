"""The server's parts, built from its settings.

Other applications use a ``Service`` in their own: its routes, its authenticator for their routes,
and its lifespan.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from unexpired_server.errors import BadCredentials, Unavailable
from unexpired_server.http.bearer import BearerAuthenticator, address_of
from unexpired_server.http.exception_handlers import OwnFailuresMiddleware, RunningCheck
from unexpired_server.http.openapi import Operation, with_proofs
from unexpired_server.http.password import PasswordAuthenticator
from unexpired_server.http.prefix import DEFAULT_PREFIX, checked_prefix, with_prefix
from unexpired_server.http.proofs import ProofChecker
from unexpired_server.http.rate_limits import RateLimits, address_key
from unexpired_server.http.routes import (
    account,
    authentication,
    features,
    passwords,
    provider,
    signup,
)
from unexpired_server.http.routes.account import AccountRoutes
from unexpired_server.http.routes.authentication import (
    AuthenticationRoutes,
    SignedInOut,
    device_of,
    signed_in,
)
from unexpired_server.http.routes.features import DemoOut, FeaturesOut, FeaturesRoutes
from unexpired_server.http.routes.passwords import PasswordRoutes, ResetRoutes
from unexpired_server.http.routes.provider import ProviderRoutes
from unexpired_server.http.routes.signup import SignUpRoutes
from unexpired_server.http.routes.system import KeyRoutes
from unexpired_server.http.session_cookie import SessionCookie, without_refresh
from unexpired_server.http.sign_in_cookies import SignInCookies
from unexpired_server.ops.background import repeating
from unexpired_server.ops.draining import Draining
from unexpired_server.ops.gauges import Across, Read
from unexpired_server.ops.metrics import PUBLISH_INTERVAL, Metrics, counted
from unexpired_server.ops.readiness import Readiness
from unexpired_server.ops.siblings import Siblings
from unexpired_server.sessions.audit import Kind
from unexpired_server.sessions.deliveries import Deliver, Deliveries
from unexpired_server.sessions.directory import BuiltInDirectory, Directory, OwnDirectory
from unexpired_server.sessions.grants import Grants
from unexpired_server.sessions.identities import BuiltInIdentities, OwnIdentities
from unexpired_server.sessions.known_addresses import KnownAddresses
from unexpired_server.sessions.passwords import MAX_QUEUE, Hasher, Passwords
from unexpired_server.sessions.refresh_tokens import RefreshTokens
from unexpired_server.sessions.reset_tokens import LIFETIME, ResetTokens
from unexpired_server.sessions.revocations import POLL_INTERVAL, Revocations
from unexpired_server.sessions.rules import SessionPolicy
from unexpired_server.sessions.sessions import Sessions
from unexpired_server.sessions.sign_in_codes import SignInCodes
from unexpired_server.sessions.store import Store
from unexpired_server.sessions.user import ClaimsHook, User, UserStore
from unexpired_server.sessions.users import Users
from unexpired_server.settings import Settings, SettingsError
from unexpired_server.storage.clock import DatabaseClock
from unexpired_server.storage.database import Database
from unexpired_server.storage.engines import OpenFile
from unexpired_server.storage.jobs import PURGE, claim
from unexpired_server.storage.sqlite import open_file
from unexpired_server.storage.tables import TablesError
from unexpired_server.tokens.access_tokens import AccessTokens
from unexpired_server.tokens.keys import KeyRing, load_ring, reload_ring
from unexpired_server.tokens.proofs import ProofKey
from unexpired_server.tokens.provider import ProviderClient

if TYPE_CHECKING:  # See ``sessions.passwords``.
    from argon2 import PasswordHasher

DEMO_NAME = "demo"
PURGE_INTERVAL = 3600.0
MOST_CALLED = frozenset({"/api/refresh", "/api/me"})
OPERATIONS = (
    *authentication.OPERATIONS,
    *account.OPERATIONS,
    *features.OPERATIONS,
    *signup.OPERATIONS,
    *passwords.OPERATIONS,
    *provider.OPERATIONS,
)
"""What ``Service.routes`` can offer; ``Service.operations`` has what they do."""

Purge = Callable[[float], Awaitable[None]]
"""Deletes what is no longer needed at a time, in Unix seconds."""

logger: logging.Logger = logging.getLogger("unexpired.server")


class Service:
    """Issues, verifies, refreshes and revokes tokens; nothing runs until ``running`` is entered.

    Args:
        settings: The server's settings.
        now: The clock of all nodes, in Unix seconds; the database's when None.
        hasher: Argon2's parameters, RFC 9106's low-memory ones when None; or another ``Hasher``.
        users: The application's own users, in place of the built-in table.
        claims: Returns further claims for a user's access token.
        deliver: Sends a link for a forgotten password to its user, such as by e-mail; without
            it nobody can ask for one. It runs in the background, for up to 60 seconds.
        open_file: Opens a SQLite database.
        proof_key: Returns what verifies the proofs of a key; ``cryptography``'s when None.

    Raises:
        SettingsError: The keys or the database URL cannot be used, an extra is missing, or
            ``users`` is given together with ``deliver`` or the setting ``signup``, or lacks a
            method that the setting ``login_with`` needs.
        TypeError: ``users`` lacks a method.
    """

    def __init__(  # noqa: PLR0913 - each is optional, and by name
        self,
        settings: Settings,
        *,
        now: Callable[[], float] | None = None,
        hasher: PasswordHasher | Hasher | None = None,
        users: UserStore | None = None,
        claims: ClaimsHook | None = None,
        deliver: Deliver | None = None,
        open_file: OpenFile = open_file,
        proof_key: ProofKey | None = None,
    ) -> None:
        self.settings: Settings = settings
        if users is not None and (deliver is not None or settings.signup):
            raise SettingsError(
                "The setting signup and the argument deliver are for the built-in table of "
                "users: with users= of your own, write those routes yourself"
            )
        self.metrics: Metrics = Metrics()
        self.database: Database = Database(
            settings.database_url,
            pool_size=settings.pool_size,
            on_failure=self.metrics.database_failed,
            open_file=open_file,
        )
        self.clock: DatabaseClock | None = DatabaseClock(self.database) if now is None else None
        self.now: Callable[[], float] = now or self.clock or time.time
        self.ring: KeyRing = load_ring(settings, self.now())
        self.users: Users = Users(self.database)
        self.passwords: Passwords = Passwords(hasher)
        self.directory: Directory = (
            OwnDirectory(users) if users else BuiltInDirectory(self.users, self.passwords)
        )
        own = self.directory.is_own
        self._known_addresses = KnownAddresses(self.database, has_own_users=own)
        self.rates: RateLimits = RateLimits(settings, self._is_known, self.now)
        self.proofs: ProofChecker = ProofChecker(settings, self.ring, self.now, proof_key)
        self.access_tokens: AccessTokens = AccessTokens(self.ring, settings, self.now)
        refresh_tokens = RefreshTokens(self.ring) if settings.refresh else None
        store = Store(self.database, policy_of(settings), self._count_event, has_own_users=own)
        self.revocations: Revocations = Revocations(
            store, settings.access_ttl + settings.leeway, self.now
        )
        self.sessions: Sessions = Sessions(
            store,
            self.revocations,
            self.access_tokens,
            refresh_tokens,
            self.now,
            directory=self.directory,
            grants=Grants(claims, self.access_tokens),
        )
        self._codes: SignInCodes = SignInCodes(self.database, self.now)
        self._people: BuiltInIdentities | OwnIdentities | None = None
        self._provider: ProviderClient | None = None
        if settings.login_with:
            self._provider = ProviderClient(settings.login_with, settings, self.now)
            self._people = (
                OwnIdentities(users) if users else BuiltInIdentities(self.database, self.now)
            )
        self._deliveries: Deliveries | None = Deliveries(deliver) if deliver else None
        self._check: RunningCheck = RunningCheck()
        self.bearer: BearerAuthenticator = BearerAuthenticator(
            self.access_tokens,
            self.revocations,
            self.metrics,
            self._check,
            self.proofs,
            binds=settings.dpop == "all",
            strict=settings.strict_rfc6750,
        )
        self._cookie: SessionCookie = SessionCookie(
            is_on=settings.cookies,
            public_url=settings.public_url,
            origins=settings.cors_origins,
        )
        self.draining: Draining = Draining()
        self.readiness: Readiness = Readiness()
        self.readiness.add("database", self.database.problem)
        if self.clock:
            self.readiness.add("clock", self.clock.problem)
        self._siblings: Siblings = Siblings()
        self.readiness.add("workers", self._siblings.problem)
        self.readiness.add("draining", self.draining.problem)
        self._add_gauges()
        self._purges: list[Purge] = [store.purge_ended, self._codes.purge]
        self._is_prepared = False
        self._is_waiting = False

    def routes(self, prefix: str = DEFAULT_PREFIX) -> list[Route]:
        """Return the routes: sign in, refresh, sign out, the current user and their sessions.

        With the setting ``signup`` people can create accounts, and with ``deliver`` replace a
        forgotten password. The routes answer their own failures, whatever handlers the
        application has, and answer 503 while ``running`` is not entered.

        Args:
            prefix: What their paths begin with: "" or such as ``/auth`` or ``/v1/api``.

        Raises:
            ValueError: ``prefix`` does not begin with a slash, ends with one, or has other
                characters than letters, digits and ``. _ ~ -``.
        """
        start = checked_prefix(prefix)
        return [self._own(route, start) for route in self._api_routes()]

    def key_routes(self) -> list[Route]:
        """Return the route of the public keys, at its well-known path, where there are any."""
        return [
            self._own(route, "") for route in KeyRoutes(self.ring).routes() if self.ring.public()
        ]

    def _own(self, route: Route, prefix: str) -> Route:
        """Return a route under a prefix, by a name that no host has, with its failures answered."""
        path, name = with_prefix(route.path, prefix), f"unexpired:{route.name}"
        own = Route(path, route.endpoint, methods=route.methods, name=name)
        strict = self.settings.strict_rfc6750
        own.app = OwnFailuresMiddleware(own.app, self._check, strict=strict)
        return own

    def _api_routes(self) -> list[Route]:
        rates, sessions = self.rates, self.sessions
        directory = self.directory
        authenticator = PasswordAuthenticator(directory, sessions, rates.sign_in)
        authentication_routes = AuthenticationRoutes(
            sessions,
            authenticator,
            self.bearer,
            rates,
            self.metrics,
            cookie=self._cookie,
            proofs=self.proofs,
            has_own_users=directory.is_own,
        )
        account_routes = AccountRoutes(directory, sessions, self.bearer)
        routes = [
            *authentication_routes.routes(),
            *account_routes.routes(),
            *self._provider_routes(),
            *self._own_table_routes(authenticator),
        ]
        # The router asks one after the other, about 0.6 µs each.
        return sorted(routes, key=lambda one: one.path not in MOST_CALLED)

    def _provider_routes(self) -> list[Route]:
        """Return the routes of a sign-in at a provider, where the settings name one."""
        if self._provider is None or self._people is None:
            return []
        public_url = self.settings.public_url or ""
        is_secure = public_url.lower().startswith("https:")
        return ProviderRoutes(
            self._provider,
            self._people,
            self.directory,
            self.sessions,
            codes=self._codes,
            cookies=SignInCookies(self.ring, self.now, is_secure=is_secure),
            limits=self.rates,
            proofs=self.proofs,
            metrics=self.metrics,
            cookie=self._cookie,
            public_url=public_url,
            label=_label(self.settings) or "",
        ).routes()

    def operations(self, further: Sequence[Operation] = ()) -> tuple[Operation, ...]:
        """Return what the routes offer, for the OpenAPI document.

        Args:
            further: What the application's routes offer, whose tokens are verified by ``bearer``.
        """
        offered = [*authentication.OPERATIONS, *account.OPERATIONS, *further]
        if self._provider:
            offered += provider.OPERATIONS
        if not self.directory.is_own:
            offered += self._own_table_operations()
        return with_proofs(offered) if self.settings.dpop == "all" else tuple(offered)

    def _own_table_operations(self) -> list[Operation]:
        offered = [*features.OPERATIONS, passwords.CHANGE]
        if self.settings.signup:
            offered += signup.OPERATIONS
        if self._deliveries:
            offered += passwords.RESET_OPERATIONS
        return offered

    def _own_table_routes(self, authenticator: PasswordAuthenticator) -> list[Route]:
        """Return the routes that write to the built-in table of users, where that is used."""
        if self.directory.is_own:
            return []
        users, sessions, hashes = self.users, self.sessions, self.passwords
        offered = FeaturesOut(
            sign_up=self.settings.signup,
            password_change=True,
            password_reset=self._deliveries is not None,
            login_with=_label(self.settings),
            demo=DemoOut(username=DEMO_NAME, password=DEMO_NAME) if self.settings.demo else None,
        )
        change = PasswordRoutes(users, sessions, authenticator, hashes, self.bearer)
        routes = [*FeaturesRoutes(offered).routes(), *change.routes()]
        if self.settings.signup:
            sign_up = SignUpRoutes(
                users,
                sessions,
                passwords=hashes,
                limits=self.rates,
                proofs=self.proofs,
                metrics=self.metrics,
                cookie=self._cookie,
                now=self.now,
            )
            routes += sign_up.routes()
        if self._deliveries:
            reset = ResetRoutes(
                users,
                sessions,
                passwords=hashes,
                tokens=ResetTokens(self.ring, self.now),
                deliveries=self._deliveries,
                limits=self.rates.reset,
            )
            routes += reset.routes()
        return routes

    async def open_session(
        self, user: User, request: Request, response: Response | None = None
    ) -> SignedInOut:
        """Open a session for a user whom the application has authenticated itself.

        Args:
            user: The user. Of the built-in table only the id counts.
            request: The user's request, of which the session keeps the device and the address. It
                is bound to the key that the request proves, if any.
            response: The response that gets the refresh token as a cookie; else it is returned.

        Raises:
            InvalidProof: The setting ``dpop_required`` is on, and there is no valid proof.
            BadCredentials: The built-in table has no such user, or sign-in is disabled.
            BadRequest: A page of this origin may not have the cookie, or the setting is off.
            Unavailable: The database does not respond, or the service does not run.
        """
        self._check()
        self._cookie.check_sign_in(request, is_wanted=response is not None)
        with counted(self.metrics.sign_ins):
            jkt = self.proofs.late_sign_in_key(request)
            known = user if self.directory.is_own else await self.directory.find(user.id)
            if known is None:
                raise BadCredentials
            device, address = device_of(request), address_of(request)
            tokens = await self.sessions.open(
                known, device, address, username=known.username, jkt=jkt
            )
        if response is None:
            return signed_in(known, tokens, self.proofs)
        await self._cookie.end_replaced(request, self.sessions)
        self._cookie.put(tokens, response)
        return signed_in(known, without_refresh(tokens), self.proofs)

    def purge_also(self, purge: Purge) -> None:
        """Call an application's own purge whenever ended sessions are purged."""
        self._purges.append(purge)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the database, and follow it and new keys until the context ends.

        While the database does not respond, access tokens are verified and all else is 503.

        Raises:
            SettingsError: The SQLite file cannot be used, or the demo was given a real database.
        """
        try:
            await self._begin()
            jobs = (
                (POLL_INTERVAL, self._follow),
                (POLL_INTERVAL, self._reload_keys),
                (PURGE_INTERVAL, self._purge),
                (PUBLISH_INTERVAL, self.metrics.publish),
            )
            async with repeating(*jobs):
                self._check.is_running = True
                try:
                    yield
                finally:
                    self._check.is_running = False
        finally:  # Also where the application fails, whose lifespan this is in.
            await self._close()

    async def _begin(self) -> None:
        self.proofs.advise()
        try:
            await self._follow()
        except Unavailable:
            # Access tokens are verified all the same, and the rest follows by itself.
            logger.warning("starting without the database")

    async def _close(self) -> None:
        if self._deliveries:
            await self._deliveries.close()
        if self._provider:
            self._provider.close()
        self.passwords.close()
        await self.rates.close()
        await self.proofs.close()
        await self.database.close()

    async def _follow(self) -> None:
        """Follow the database; let the node's other workers know when that fails."""
        try:
            await self._read_what_is_shared()
        except Unavailable:
            self._siblings.note(has_lost=True)
            raise
        self._siblings.note(has_lost=False)

    async def _read_what_is_shared(self) -> None:
        """Read the database's clock, and what other nodes revoked."""
        if not self._is_prepared:
            await self._prepare()
            self._is_prepared = True
        if self.clock:
            await self.clock.look()
        await self.sessions.follow()

    async def _prepare(self) -> None:
        try:
            await prepare(self.database, self.settings, self.passwords, self.now())
        except TablesError as exc:
            # Somebody may be migrating them just now; until then the database is of no use.
            if not self._is_waiting:
                logger.error("%s", exc)  # noqa: TRY400 - one sentence
            self._is_waiting = True
            raise Unavailable from exc

    def _add_gauges(self) -> None:
        database, passwords, revocations = self.database, self.passwords, self.revocations
        gauges: tuple[tuple[str, str, Across, Read], ...] = (
            ("passwords_running", "Passwords that are verified now.", "sum",
             lambda: passwords.running),
            ("passwords_waiting", "Sign-ins whose password waits to be verified.", "sum",
             lambda: passwords.waiting),
            ("passwords_waiting_limit", "The most that may wait.", "sum", lambda: MAX_QUEUE),
            ("revoked_sessions", "Ended sessions whose access tokens are refused.", "max",
             lambda: len(revocations)),
            ("revocations_age_seconds", "Since ended sessions were read from the database.",
             "max", revocations.age),
            ("database_connections", "Connections to the database in use.", "sum",
             lambda: database.connections),
            ("database_connections_limit", "The most connections to the database.", "sum",
             lambda: self.settings.pool_size),
            ("database_pending", "Work on a connection to the database, or waiting for one.",
             "sum", lambda: database.pending),
            ("clock_skew_seconds", "How far this node's clock is ahead of the database's.", "max",
             lambda: self.clock.skew if self.clock else None),
            ("rate_limits_degraded", "1 while the limits' Redis is away.", "max",
             lambda: self.rates.is_degraded),
            ("proofs_degraded", "1 while the proofs' Redis is away.", "max",
             lambda: self.proofs.is_degraded),
            ("draining", "1 while this node is about to stop.", "max", self.draining),
        )  # fmt: skip
        for name, text, across, read in gauges:
            self.metrics.gauge(name, text, read, across=across)

    def _count_event(self, kind: Kind) -> None:
        self.metrics.events.labels(kind.value).inc()

    async def _is_known(self, username: str, address: str | None) -> bool:
        known = await self._known_addresses.of(username)
        return address_key(address) in map(address_key, known)

    async def _reload_keys(self) -> None:
        if self.settings.secret is None:
            reload_ring(self.ring, self.settings.keys_file, self.now())

    async def _purge(self) -> None:
        """Purge, unless another process has just done it, or the time is in doubt."""
        if not self._is_prepared:
            return
        if self.clock:
            await self.clock.look()
            if not self.clock.may_condemn():
                logger.warning("nothing is purged while the clocks disagree")
                return
        if await claim(self.database, PURGE, self.now(), PURGE_INTERVAL):
            for purge in self._purges:
                await purge(self.now())
            self.metrics.purged()


def _label(settings: Settings) -> str | None:
    """Return the name of the provider that people may sign in with, to show."""
    return settings.login_with_label or urlsplit(settings.login_with or "").hostname


def policy_of(settings: Settings) -> SessionPolicy:
    """Return how long sessions last; without refresh tokens, as long as their access token."""
    if not settings.refresh:
        return SessionPolicy(
            settings.access_ttl,
            settings.access_ttl,
            grace=0,
            sessions_per_user=settings.sessions_per_user,
            asks_for_proof=settings.dpop == "all",
        )
    return SessionPolicy(
        idle_ttl=settings.refresh_idle_ttl,
        absolute_ttl=settings.refresh_absolute_ttl,
        grace=settings.refresh_grace,
        rotation=settings.rotation,
        sessions_per_user=settings.sessions_per_user,
        asks_for_proof=settings.dpop != "off",
    )


def longest_life(settings: Settings) -> float:
    """Return the seconds from a key's last signature until the last of its tokens expires."""
    access = max(settings.access_ttl + settings.leeway, LIFETIME)
    if not settings.refresh:
        return access
    # A refresh token that is never replaced lives as long as its session.
    refresh = settings.refresh_idle_ttl if settings.rotation else settings.refresh_absolute_ttl
    return max(access, refresh)


async def prepare(database: Database, settings: Settings, passwords: Passwords, now: float) -> None:
    """Open the database, and add the demo's user where the settings ask for it.

    Raises:
        SettingsError: The database needs a migration, or the demo was given a real one.
        Unavailable: The database does not respond.
    """
    await database.open()
    if settings.demo:
        await _add_demo_user(Users(database), passwords, now)


async def _add_demo_user(users: Users, passwords: Passwords, now: float) -> None:
    if await users.find(DEMO_NAME):
        return
    if await users.exists_other_than(DEMO_NAME):
        raise SettingsError(
            "This database has other users, and everybody knows the demo's password: "
            "give the demo a database of its own"
        )
    await users.add(DEMO_NAME, passwords.hash(DEMO_NAME), now)
