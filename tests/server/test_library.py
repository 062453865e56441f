"""The server's parts in other applications."""

import logging
import signal
import sys
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.authentication import AuthenticationError, requires
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from tests.server.harness import HASHER, PASSWORD, bearer, other_key
from tests.support.clock import START, FakeClock
from unexpired_server.app import build_app
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
    @requires("authenticated", status_code=401)
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
    # What ``requires`` raises is Starlette's, and so the application's to answer.
    forbidden = await http.get("/admin", headers=headers)
    assert (forbidden.status_code, forbidden.text) == (403, "Forbidden")
    refused = await http.get("/private")
    assert (refused.status_code, refused.text) == (401, "Unauthorized")
    for path in ("/private", "/public"):
        bad = await http.get(path, headers=bearer("x"))
        assert (bad.status_code, bad.json()["code"]) == (403, "INVALID_TOKEN")
        assert bad.headers["x-content-type-options"] == "nosniff"
    await http.post("/api/logout", json={"refreshToken": tokens["refreshToken"]})
    gone = await http.get("/private", headers=headers)
    assert (gone.status_code, gone.json()["code"]) == (401, "SESSION_REVOKED")


async def test_in_fastapi_the_routes_are_mounted_and_claims_are_a_dependency(
    make_settings: Callable[..., Settings], clock: FakeClock
) -> None:
    service = Service(make_settings(strict_rfc6750=True), now=clock, hasher=HASHER)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    handlers: Any = failure_handlers(strict=True)
    app = FastAPI(lifespan=lifespan, exception_handlers=handlers)
    app.router.routes.extend(service.routes())
    app.router.routes.append(Mount("/auth", routes=service.routes()))

    async def signed_in(request: Request) -> Claims:
        return await service.bearer.authenticate(request)

    @app.get("/private")
    async def private(claims: Annotated[Claims, Depends(signed_in)]) -> dict[str, str]:
        return {"id": claims.user_id}

    async with app.router.lifespan_context(app), client_of(app) as http:
        tokens = await sign_in(http)
        assert await sign_in(http, "/auth/api/login")
        response = await http.get("/private", headers=bearer(tokens["accessToken"]))
        assert response.json() == {"id": tokens["user"]["id"]}
        for path in ("/private", "/api/me", "/auth/api/me"):
            bad = await http.get(path, headers=bearer("x"))
            assert (bad.status_code, bad.json()["code"]) == (401, "INVALID_TOKEN")
        renewed = await http.post("/api/refresh", json={"refreshToken": tokens["refreshToken"]})
        assert renewed.status_code == 200
        paths = (await http.get("/openapi.json")).json()["paths"]
        assert set(paths) == {"/private"}


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a")


def routes_that_fail() -> list[Route]:
    """A host's own routes, which raise the host's own exceptions."""

    def raising(status: int) -> Route:
        async def endpoint(_request: Request) -> Response:
            raise HTTPException(status, "the host's own", headers={"X-Host": "1"})

        return Route(f"/{status}", endpoint)

    return [raising(status) for status in (403, 404, 405, 409, 418)]


@pytest.mark.parametrize("make_app", [Starlette, FastAPI])
async def test_a_hosts_own_errors_stay_what_they_were(
    service: Service, ask: Callable[[ASGIApp], httpx.AsyncClient], make_app: Any
) -> None:
    ours: Any = failure_handlers(strict=False)
    changed = make_app(
        routes=[*service.routes(), *routes_that_fail()], exception_handlers=dict(ours)
    )
    plain = make_app(routes=routes_that_fail())
    theirs, before = ask(changed), ask(plain)
    for path in ("/403", "/404", "/405", "/409", "/418", "/nowhere"):
        for method in ("GET", "DELETE"):
            here = await theirs.request(method, path)
            there = await before.request(method, path)
            assert (here.status_code, here.text) == (there.status_code, there.text)
            assert here.headers == there.headers


async def test_a_hosts_validation_errors_and_handlers_stay_its_own(
    service: Service, ask: Callable[[ASGIApp], httpx.AsyncClient]
) -> None:
    async def teapot(_request: Request, exc: Any) -> Response:
        return JSONResponse({"host": exc.status_code}, 418)

    handlers: Any = {**failure_handlers(strict=False), HTTPException: teapot}
    app = FastAPI(routes=list(service.routes()), exception_handlers=handlers)

    @app.get("/items/{number}")
    async def item(number: int) -> int:
        return number

    http = ask(app)
    invalid = await http.get("/items/x")
    assert (invalid.status_code, "detail" in invalid.json()) == (422, True)
    assert (await http.get("/nowhere")).json() == {"host": 404}
    assert (await http.get("/api/me")).json()["code"] == "NO_TOKEN"


async def test_an_application_of_ours_answers_unknown_paths_and_only_those(
    service: Service, ask: Callable[[ASGIApp], httpx.AsyncClient]
) -> None:
    http = ask(build_app(service, routes=routes_that_fail()))
    assert (await http.get("/nowhere")).json()["code"] == "NOT_FOUND"
    wrong = await http.delete("/api/me")
    assert (wrong.json()["code"], wrong.headers["allow"]) == ("METHOD_NOT_ALLOWED", "GET, HEAD")
    for status in (403, 404, 405, 409, 418):
        response = await http.get(f"/{status}")
        assert (response.status_code, response.text) == (status, "the host's own")
        assert response.headers["x-host"] == "1"


async def test_our_routes_answer_their_failures_in_an_application_without_handlers(
    service: Service, ask: Callable[[ASGIApp], httpx.AsyncClient]
) -> None:
    http = ask(Starlette(routes=[Mount("/sub", app=Starlette(routes=service.routes()))]))
    tokens = await sign_in(http, "/sub/api/login")
    for method, path, body, code in (
        ("GET", "/sub/api/me", None, "NO_TOKEN"),
        ("POST", "/sub/api/login", {"username": "ada"}, "BAD_REQUEST"),
        ("POST", "/sub/api/login", {"username": "ada", "password": "no"}, "BAD_CREDENTIALS"),
        ("POST", "/sub/api/refresh", {"refreshToken": "x"}, "REFRESH_INVALID"),
        ("DELETE", "/sub/api/sessions/x", None, "NO_TOKEN"),
    ):
        assert (await http.request(method, path, json=body)).json()["code"] == code
    me = await http.get("/sub/api/me", headers=bearer(tokens["accessToken"]))
    assert me.json()["username"] == "ada"


async def test_without_the_lifespan_one_clear_error_is_logged_and_nothing_is_a_500(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async with service.running(), client_of(starlette_app(service)) as http:
        tokens = await sign_in(http)
    app = starlette_app(service)
    headers = bearer(tokens["accessToken"])
    async with client_of(app) as http:
        responses = [
            await http.post("/api/login", json={"username": "ada", "password": PASSWORD}),
            await http.get("/api/me", headers=headers),
            await http.get("/private", headers=headers),
            await http.get("/public", headers=headers),
        ]
    # A token could be of a session that was revoked: nobody would know.
    assert {one.status_code for one in responses} == {503}
    assert all(one.headers["retry-after"] for one in responses)
    (record,) = (one for one in caplog.records if one.levelname == "ERROR")
    assert "service.running()" in record.getMessage()


async def test_one_service_runs_again_as_each_test_of_a_host_starts_the_application(
    service: Service,
) -> None:
    app = Starlette(routes=service.routes(), lifespan=lambda _app: service.running())
    for _ in range(2):
        async with app.router.lifespan_context(app), client_of(app) as http:
            tokens = await sign_in(http)
            response = await http.post(
                "/api/refresh", json={"refreshToken": tokens["refreshToken"]}
            )
            assert response.status_code == 200


async def test_two_services_in_one_process_leave_it_as_it_was(
    make_settings: Callable[..., Settings], clock: FakeClock
) -> None:
    def of_process() -> tuple[object, ...]:
        root = logging.getLogger()
        return (
            list(root.handlers),
            root.level,
            list(warnings.filters),
            [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)],
            sys.excepthook,
        )

    before = of_process()
    services = [Service(make_settings(), now=clock, hasher=HASHER) for _ in range(2)]
    async with services[0].running(), services[1].running():
        for one in services:
            async with client_of(Starlette(routes=one.routes())) as http:
                await sign_in(http)
        assert of_process() == before
    assert of_process() == before


@pytest.mark.parametrize("strict", [False, True])
async def test_the_middleware_answers_an_invalid_token_with_the_status_of_the_setting(
    make_settings: Callable[..., Settings], clock: FakeClock, *, strict: bool
) -> None:
    service = Service(make_settings(strict_rfc6750=strict), now=clock, hasher=HASHER)
    async with service.running(), client_of(starlette_app(service)) as http:
        bad = await http.get("/public", headers=bearer("x"))
    assert (bad.status_code, bad.json()["code"]) == (401 if strict else 403, "INVALID_TOKEN")


def test_another_backends_error_is_answered_as_an_invalid_token() -> None:
    connection = HTTPConnection({"type": "http", "headers": []})
    response = on_bearer_error(connection, AuthenticationError("x"))
    assert response.status_code == 403


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
