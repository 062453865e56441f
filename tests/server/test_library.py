"""The server's parts in other applications."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from tests.server.harness import HASHER, PASSWORD, bearer, other_key
from tests.support.clock import START, FakeClock
from unexpired_server.http.exception_handlers import failure_handlers
from unexpired_server.http.middleware import SecurityHeadersMiddleware, ServerErrorMiddleware
from unexpired_server.http.starlette_backend import BearerBackend, on_bearer_error
from unexpired_server.service import Service
from unexpired_server.sessions.refresh_tokens import RefreshTokens
from unexpired_server.sessions.rules import (
    NO_ATTEMPT,
    Decision,
    Session,
    SessionPolicy,
    decide,
    refreshed,
)
from unexpired_server.settings import Settings
from unexpired_server.tokens.access_tokens import AccessTokens, Claims
from unexpired_server.tokens.keys import ring_of

STORES = ("sqlite", "postgres")


@pytest.fixture
def service(make_settings: Callable[..., Settings], clock: FakeClock) -> Service:
    return Service(make_settings(), now=clock, hasher=HASHER)


@pytest.fixture
async def ask(
    service: Service,
) -> AsyncIterator[Callable[[ASGIApp], httpx.AsyncClient]]:
    """Return clients for applications, while the service runs."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(service.running())
        clients: list[httpx.AsyncClient] = []

        def client(app: ASGIApp) -> httpx.AsyncClient:
            transport = httpx.ASGITransport(app)
            clients.append(httpx.AsyncClient(transport=transport, base_url="http://a"))
            return clients[-1]

        yield client
        for one in clients:
            await one.aclose()


async def sign_in(http: httpx.AsyncClient, path: str = "/api/login") -> dict[str, Any]:
    response = await http.post(path, json={"username": "ada", "password": PASSWORD})
    assert response.status_code == 200
    tokens: dict[str, Any] = response.json()
    return tokens


def starlette_app(service: Service) -> Starlette:
    @requires("authenticated")
    async def private(request: Request) -> Response:
        user = request.user
        return JSONResponse({"id": user.identity, "name": user.display_name})

    async def public(request: Request) -> Response:
        return JSONResponse({"known": request.user.is_authenticated})

    authentication = Middleware(
        AuthenticationMiddleware,
        backend=BearerBackend(service.bearer),
        on_error=on_bearer_error,
    )

    @requires("admin")
    async def admin(request: Request) -> Response:  # noqa: ARG001 - it looks for this name
        raise AssertionError("nobody is admin here")

    yours = [Route("/private", private), Route("/public", public), Route("/admin", admin)]
    return Starlette(
        routes=[*service.routes(), *yours],
        middleware=[
            Middleware(SecurityHeadersMiddleware),
            Middleware(ServerErrorMiddleware),
            authentication,
        ],
        exception_handlers=failure_handlers(strict=False),
    )


async def test_in_starlette_requires_and_request_user_work_as_with_any_backend(
    service: Service, ask: Callable[[ASGIApp], httpx.AsyncClient]
) -> None:
    http = ask(starlette_app(service))
    tokens = await sign_in(http)
    headers = bearer(tokens["accessToken"])
    who = tokens["user"]["id"]
    assert (await http.get("/private", headers=headers)).json() == {"id": who, "name": who}
    assert (await http.get("/public", headers=headers)).json() == {"known": True}
    assert (await http.get("/public")).json() == {"known": False}
    forbidden = await http.get("/admin", headers=headers)
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "FORBIDDEN")
    assert 'error="insufficient_scope"' in forbidden.headers["www-authenticate"]
    refused = await http.get("/private")
    assert (refused.status_code, refused.json()["code"]) == (401, "NO_TOKEN")
    assert refused.headers["www-authenticate"] == 'Bearer realm="unexpired"'
    for path in ("/private", "/public"):
        bad = await http.get(path, headers=bearer("x"))
        assert (bad.status_code, bad.json()["code"]) == (403, "INVALID_TOKEN")
        assert bad.headers["x-content-type-options"] == "nosniff"
    await http.post("/api/logout", json={"refreshToken": tokens["refreshToken"]})
    gone = await http.get("/private", headers=headers)
    assert (gone.status_code, gone.json()["code"]) == (401, "SESSION_REVOKED")


async def test_in_fastapi_the_routes_are_mounted_and_claims_are_a_dependency(
    service: Service, ask: Callable[[ASGIApp], httpx.AsyncClient]
) -> None:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield

    handlers: Any = failure_handlers(strict=True)
    app = FastAPI(lifespan=lifespan, exception_handlers=handlers)
    app.router.routes.extend(service.routes())
    app.router.routes.append(Mount("/auth", routes=service.routes()))

    def signed_in(request: Request) -> Claims:
        return service.bearer.authenticate(request)

    @app.get("/private")
    async def private(claims: Annotated[Claims, Depends(signed_in)]) -> dict[str, str]:
        return {"id": claims.user_id}

    http = ask(app)
    tokens = await sign_in(http)
    assert await sign_in(http, "/auth/api/login")
    response = await http.get("/private", headers=bearer(tokens["accessToken"]))
    assert response.json() == {"id": tokens["user"]["id"]}
    bad = await http.get("/private", headers=bearer("x"))
    assert (bad.status_code, bad.json()["code"]) == (401, "INVALID_TOKEN")
    renewed = await http.post("/api/refresh", json={"refreshToken": tokens["refreshToken"]})
    assert renewed.status_code == 200


def test_tokens_and_sessions_work_without_any_server() -> None:
    ring = ring_of(other_key())
    tokens, refresh_tokens = AccessTokens(ring, Settings(), lambda: START), RefreshTokens(ring)
    policy = SessionPolicy(idle_ttl=100, absolute_ttl=1000, grace=30)
    session = Session("1" * 32, "ada", 0, START, START)
    presented = refresh_tokens.read(refresh_tokens.write(session))
    assert presented is not None
    assert decide(session, presented.counter, NO_ATTEMPT, START + 1, policy) is Decision.ROTATE
    renewed = refreshed(session, presented.counter, NO_ATTEMPT, START + 1, policy)
    issued = tokens.issue(renewed.user_id, renewed.id, 100)
    assert tokens.verify(issued.token) == Claims("ada", "1" * 32)
