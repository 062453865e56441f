"""The composition root: settings in, ASGI application out; nothing happens at import."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from server.background import repeating
from server.bearer import Bearer
from server.database import Database
from server.errors import Failure, MethodNotAllowed, NotFound
from server.keys import load_ring
from server.middleware import Cors, LastNet, SecurityHeaders
from server.notes import Notes
from server.passwords import Passwords
from server.replies import failure
from server.revocations import POLL_SECONDS, Revocations
from server.routes import operation
from server.routes.account import Account
from server.routes.authentication import Authentication
from server.routes.notes import NotesRoutes
from server.routes.page import page_routes
from server.sessions import Policy, RefreshTokens
from server.settings import Settings, SettingsError
from server.store import Store
from server.tokens import AccessTokens
from server.users import Users

DEMO_NAME = "demo"
TIDY_SECONDS = 3600.0


def create_app(
    settings: Settings,
    *,
    now: Callable[[], float] = time.time,
    hasher: PasswordHasher | None = None,
) -> Starlette:
    """Build the application.

    Args:
        settings: How it behaves.
        now: The clock, in Unix seconds.
        hasher: Argon2's parameters; RFC 9106's low-memory ones when None.

    Raises:
        SettingsError: The keys or the database URL cannot be used.
    """
    ring = load_ring(settings)
    policy = policy_of(settings)
    database = Database(settings.database_url)
    users, store, notes = Users(database), Store(database, policy), Notes(database)
    passwords = Passwords(hasher)
    access = AccessTokens(ring, settings, now)
    revocations = Revocations(store, settings.access_ttl + settings.leeway, now)
    bearer = Bearer(access, revocations)
    authentication = Authentication(
        users=users,
        passwords=passwords,
        store=store,
        policy=policy,
        revocations=revocations,
        access=access,
        refresh_tokens=RefreshTokens(ring) if settings.refresh else None,
        bearer=bearer,
        now=now,
    )
    account = Account(
        users=users,
        store=store,
        policy=policy,
        revocations=revocations,
        bearer=bearer,
        now=now,
    )

    async def tidy() -> None:
        await store.forget_ended(now())
        await notes.forget_keys(now())

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await prepare(database, settings, passwords, now())
        await revocations.poll()
        async with repeating((POLL_SECONDS, revocations.poll), (TIDY_SECONDS, tidy)):
            yield
        passwords.close()
        await database.close()

    routes = [
        *authentication.routes(),
        *account.routes(),
        *NotesRoutes(notes, bearer, now).routes(),
        *operation.ROUTES,
        *page_routes(settings.page_dir),
    ]
    app = Starlette(
        routes=routes,
        middleware=_middleware(settings),
        exception_handlers=_handlers(strict=settings.strict_rfc6750),
        lifespan=lifespan,
    )
    # A redirect to the same path with a slash would be built from the Host header.
    app.router.redirect_slashes = False
    return app


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


def _middleware(settings: Settings) -> list[Middleware]:
    stack = [Middleware(SecurityHeaders)]
    if settings.cors_origins:
        stack.append(
            Middleware(
                Cors,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
                expose_headers=["WWW-Authenticate", "Retry-After"],
            )
        )
    return [*stack, Middleware(LastNet)]


def _handlers(*, strict: bool) -> dict[type[Exception], ExceptionHandler]:
    async def on_failure(_request: Request, exc: Exception) -> Response:
        problem = exc if isinstance(exc, Failure) else _translated(exc)
        return failure(problem, strict=strict)

    return {Failure: on_failure, HTTPException: on_failure}


def _translated(exc: Exception) -> Failure:
    """Starlette's own refusals: no such path, no such method, a file that cannot be read."""
    if isinstance(exc, HTTPException) and exc.status_code == 405:  # noqa: PLR2004 - RFC 9110
        methods = (exc.headers or {})["Allow"].split(", ")
        return MethodNotAllowed(", ".join(sorted(methods)))
    return NotFound()


async def prepare(database: Database, settings: Settings, passwords: Passwords, now: float) -> None:
    """Make what must be in the database before the first request.

    Raises:
        SettingsError: The file cannot be made, or the demo asks for a real database.
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
