"""Composition: settings in, ASGI application out; importing this has no side effects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from unexpired_server.http.client_address import ClientAddressMiddleware
from unexpired_server.http.exception_handlers import application_handlers
from unexpired_server.http.failure_response import DPOP_NONCE
from unexpired_server.http.middleware import (
    NO_PAGE,
    JSONErrorCORSMiddleware,
    RequestLogMiddleware,
    SecurityHeadersMiddleware,
    ServerErrorMiddleware,
)
from unexpired_server.http.openapi import Operation
from unexpired_server.http.page import page_policy, page_routes
from unexpired_server.http.routes import system
from unexpired_server.ops.metrics import Metrics
from unexpired_server.service import Service
from unexpired_server.sessions.passwords import Hasher
from unexpired_server.settings import Settings

if TYPE_CHECKING:  # See ``sessions.passwords``.
    from argon2 import PasswordHasher


def create_app(
    settings: Settings,
    *,
    now: Callable[[], float] | None = None,
    hasher: PasswordHasher | Hasher | None = None,
) -> Starlette:
    """Build the application: the API, and a page where the settings name one.

    Args:
        settings: The server's settings.
        now: The clock of all nodes, in Unix seconds; the database's when None.
        hasher: Argon2's parameters, RFC 9106's low-memory ones when None; or another ``Hasher``.

    Raises:
        SettingsError: The keys or the database URL cannot be used, or an extra is missing.
    """
    return build_app(Service(settings, now=now, hasher=hasher))


def build_app(
    service: Service,
    *,
    routes: Sequence[BaseRoute] = (),
    operations: Sequence[Operation] = (),
    page_dir: Path | None = None,
) -> Starlette:
    """Build an application from a service and further routes.

    Args:
        service: The server's parts.
        routes: An application's own routes.
        operations: Their description, for the OpenAPI document.
        page_dir: The folder of a page, where the settings name none.

    Raises:
        SettingsError: There is a page, and the extra ``page`` is not installed.
    """
    settings = service.settings
    page_dir = settings.page_dir or page_dir

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = Starlette(
        routes=[
            *service.routes(),
            *routes,
            *_system_routes(service, operations),
            *page_routes(page_dir),
        ],
        middleware=_middleware(settings, service.metrics, page_policy(page_dir) or NO_PAGE),
        exception_handlers=application_handlers(strict=settings.strict_rfc6750),
        lifespan=lifespan,
    )
    app.state.service = service
    # Starlette would build the redirect to a path with a slash from the Host header.
    app.router.redirect_slashes = False
    return app


def _system_routes(service: Service, operations: Sequence[Operation]) -> list[Route]:
    everything = (*service.operations(operations), *system.OPERATIONS)
    routes = system.SystemRoutes(service.readiness, service.ring, service.metrics, everything)
    return routes.routes()


def _middleware(settings: Settings, metrics: Metrics, policy: str) -> list[Middleware]:
    stack = [
        Middleware(ClientAddressMiddleware, trusted=settings.trusted_proxies),
        Middleware(RequestLogMiddleware, metrics=metrics, sample=settings.log_sample),
        Middleware(SecurityHeadersMiddleware, policy=policy),
    ]
    if settings.cors_origins:
        stack.append(
            Middleware(
                JSONErrorCORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_credentials=settings.cookies,
                allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
                allow_headers=["Authorization", "Content-Type", "DPoP", "Idempotency-Key"],
                expose_headers=["WWW-Authenticate", "Retry-After", DPOP_NONCE],
            )
        )
    return [*stack, Middleware(ServerErrorMiddleware)]
