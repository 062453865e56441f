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
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from server.errors import Failure, Forbidden, MethodNotAllowed, NotFound, TokenMissing
from server.metrics import Metrics
from server.middleware import NO_PAGE, Cors, LastNet, Observed, SecurityHeaders
from server.replies import failure
from server.routes.notes import NotesRoutes
from server.routes.operation import Operation
from server.routes.page import page_policy, page_routes
from server.service import Service
from server.settings import Settings


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
    service = Service(settings, now=now, hasher=hasher)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = Starlette(
        routes=[
            *service.routes(),
            *NotesRoutes(service.notes, service.bearer, now).routes(),
            *Operation(service.database, service.ring, service.metrics).routes(),
            *page_routes(settings.page_dir),
        ],
        middleware=_middleware(settings, service.metrics),
        exception_handlers=failure_handlers(strict=settings.strict_rfc6750),
        lifespan=lifespan,
    )
    app.state.service = service
    # A redirect to the same path with a slash would be built from the Host header.
    app.router.redirect_slashes = False
    return app


def _middleware(settings: Settings, metrics: Metrics) -> list[Middleware]:
    policy = page_policy(settings.page_dir) or NO_PAGE
    stack = [Middleware(Observed, metrics=metrics), Middleware(SecurityHeaders, policy=policy)]
    if settings.trusted_proxies:
        proxies = list(settings.trusted_proxies)
        stack.insert(0, Middleware(ProxyHeadersMiddleware, trusted_hosts=proxies))
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


def failure_handlers(*, strict: bool) -> dict[type[Exception], ExceptionHandler]:
    """What turns every failure into a reply, for Starlette's `exception_handlers`.

    Args:
        strict: Answer 401 where we otherwise answer 403 (RFC 6750, section 3.1).
    """

    async def on_failure(request: Request, exc: Exception) -> Response:
        problem = exc if isinstance(exc, Failure) else _translated(request, exc)
        return failure(problem, strict=strict)

    return {Failure: on_failure, HTTPException: on_failure}


def _translated(request: Request, exc: Exception) -> Failure:
    """Starlette's own refusals: no such path or method, no such file, `requires`."""
    if isinstance(exc, HTTPException) and exc.status_code == 403:  # noqa: PLR2004 - RFC 9110
        user = request.scope.get("user")
        return Forbidden() if user and user.is_authenticated else TokenMissing()
    if isinstance(exc, HTTPException) and exc.status_code == 405:  # noqa: PLR2004 - RFC 9110
        methods = (exc.headers or {})["Allow"].split(", ")
        return MethodNotAllowed(", ".join(sorted(methods)))
    return NotFound()
