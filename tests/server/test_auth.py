"""Sign-in in other people's FastAPI and Starlette applications, by ``Auth``."""

import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import httpx
import pytest
import schemathesis
from fastapi import APIRouter, Depends, FastAPI
from jsonschema_rs import validator_for
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Host, Mount, Route, Router
from starlette.types import ASGIApp

from tests.server.harness import HASHER, PASSWORD, bearer, sign
from tests.support.clock import FakeClock
from tests.support.server_process import clean_environment
from unexpired_server import (
    Auth,
    Failure,
    JWKSVerifier,
    Service,
    Settings,
    SettingsError,
    TokenMissing,
    User,
    failure_handlers,
    requires,
)
from unexpired_server.http.middleware import SecurityHeadersMiddleware

MakeAuth = Callable[..., Auth]


@pytest.fixture
def make_auth(make_settings: Callable[..., Settings], clock: FakeClock) -> MakeAuth:
    def make(**settings: Any) -> Auth:
        return Auth(make_settings(**settings), now=clock, hasher=HASHER)

    return make


@pytest.fixture
def auth(make_auth: MakeAuth) -> Auth:
    return make_auth()


@asynccontextmanager
async def client_of(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client for an application without its lifespan; an exception is a 500 to it."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as http:
        yield http


@asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with app.router.lifespan_context(app), client_of(app) as http:
        yield http


async def sign_in(http: httpx.AsyncClient, prefix: str = "/api") -> dict[str, Any]:
    body = {"username": "ada", "password": PASSWORD}
    response = await http.post(f"{prefix}/login", json=body)
    assert response.status_code == 200, response.text
    tokens: dict[str, Any] = response.json()
    return tokens


def with_scopes(auth: Auth, clock: FakeClock, *scopes: str, **claims: Any) -> str:
    """A token of a session that nobody has signed out."""
    settings, key = auth.service.settings, auth.service.ring.active
    now = int(clock())
    body = {
        "iss": settings.issuer, "aud": settings.audience, "sub": "0" * 32, "sid": "1" * 32,
        "iat": now, "exp": now + settings.access_ttl, "jti": "j",
        **({"scope": " ".join(scopes)} if scopes else {}), **claims,
    }  # fmt: skip
    header = {"alg": "HS256", "kid": key.kid, "typ": "at+jwt"}
    return sign(header, body, secret=key.secret)


def fastapi_app(auth: Auth, prefix: str = "/api", **options: Any) -> FastAPI:
    app = FastAPI(**{"lifespan": auth.lifespan, **options})
    auth.install(app, prefix=prefix)

    @app.get("/whoami")
    async def whoami(user: Annotated[User, Depends(auth.user)]) -> dict[str, Any]:
        return {"id": user.id, "scopes": sorted(user.scopes), "jti": user.claims["jti"]}

    @app.get("/greeting")
    async def greeting(user: Annotated[User | None, Depends(auth.optional)]) -> str:
        return f"Hello {user.id if user else 'guest'}"

    @app.get("/account")
    async def account(user: Annotated[User, Depends(auth.account)]) -> dict[str, Any]:
        return {"id": user.id, "username": user.username}

    @app.delete("/orders", dependencies=[Depends(auth.requires("orders:write", "orders:read"))])
    async def delete_orders() -> str:
        return "deleted"

    return app


# -- The routes and their prefix -------------------------------------------------------------------


@pytest.mark.parametrize("make_app", [Starlette, FastAPI])
@pytest.mark.parametrize("prefix", ["", "/auth", "/v1/api"])
async def test_the_routes_answer_under_any_prefix_and_nowhere_else(
    auth: Auth, make_app: Any, prefix: str
) -> None:
    app = make_app(lifespan=auth.lifespan)
    auth.install(app, prefix=prefix)
    async with running(app) as http:
        tokens = await sign_in(http, prefix)
        headers = bearer(tokens["accessToken"])
        me = await http.get(f"{prefix}/me", headers=headers)
        assert me.json()["username"] == "ada"
        (session,) = (await http.get(f"{prefix}/sessions", headers=headers)).json()["sessions"]
        body = {"refreshToken": tokens["refreshToken"]}
        assert (await http.post(f"{prefix}/refresh", json=body)).status_code == 200
        ended = await http.delete(f"{prefix}/sessions/{session['id']}", headers=headers)
        assert ended.status_code == 204
        assert (await http.get("/api/me")).status_code == 404
        assert (await http.get("//me")).status_code == 404


@pytest.mark.parametrize(
    "prefix",
    [
        "/",
        "/api/",
        "api",
        "//",
        "/a//b",
        "/a/../b",
        "/.",
        "/{tenant}",
        "/a b",
        "/a?b",
        "/ä",
        "/a\n",
    ],
)
def test_a_bad_prefix_is_refused_and_named(auth: Auth, prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix="):
        auth.install(Starlette(), prefix=prefix)
    with pytest.raises(ValueError, match="prefix="):
        auth.service.routes(prefix)


def test_a_prefix_that_is_no_text_is_refused(auth: Auth) -> None:
    with pytest.raises(TypeError, match="prefix is text, not int"):
        auth.install(Starlette(), prefix=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("make_app", [Starlette, FastAPI])
def test_a_hosts_own_route_names_stay_its_own(auth: Auth, make_app: Any) -> None:
    async def login(_request: Request) -> Response:
        return PlainTextResponse("the host's")

    app = make_app()
    auth.install(app)
    app.router.routes.append(Route("/sign-in", login))
    assert app.url_path_for("login") == "/sign-in"


# -- Installing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make_app", [Starlette, FastAPI])
def test_installing_twice_is_refused(make_auth: MakeAuth, make_app: Any) -> None:
    app = make_app()
    make_auth().install(app)
    before = list(app.routes)
    with pytest.raises(RuntimeError, match="before"):
        make_auth().install(app)
    assert app.routes == before


async def test_installing_after_the_application_has_started_is_refused(auth: Auth) -> None:
    app = Starlette()
    async with client_of(app) as http:
        await http.get("/")
    with pytest.raises(RuntimeError, match="before the application starts"):
        auth.install(app)


@pytest.mark.parametrize("thing", [APIRouter(), "app", None])
def test_installing_in_what_is_no_application_is_refused(auth: Auth, thing: Any) -> None:
    with pytest.raises(TypeError, match="application itself, not"):
        auth.install(thing)


async def test_a_host_that_fails_while_it_runs_leaves_no_thread_of_ours(auth: Auth) -> None:
    before = set(threading.enumerate())

    async def run() -> None:
        async with auth.lifespan():
            await auth.service.directory.find("0" * 32)
            raise LookupError

    with pytest.raises(LookupError):
        await run()
    for thread in {*threading.enumerate()} - before:
        thread.join(10)
        assert not thread.is_alive(), thread


@pytest.mark.parametrize("make_app", [Starlette, FastAPI])
@pytest.mark.parametrize(
    "catch_all",
    [Mount("/", Starlette()), Route("/{path:path}", lambda _: Response()), Mount("/api", Router())],
)
def test_installing_after_a_route_that_takes_every_request_is_refused(
    auth: Auth, make_app: Any, catch_all: BaseRoute
) -> None:
    app = make_app()
    app.router.routes.append(catch_all)
    with pytest.raises(RuntimeError, match=r"before .* is added: it would answer /api/"):
        auth.install(app)


async def test_a_host_may_have_routes_of_its_own_before_and_a_catch_all_after_ours(
    auth: Auth,
) -> None:
    def say(text: str) -> Any:
        return lambda _: PlainTextResponse(text)

    own = [Route("/api/me", say("the host's")), Route("/api/{x}", say(""), methods=["PUT"])]
    app = Starlette(routes=[*own, Mount("/static", Starlette())], lifespan=auth.lifespan)
    auth.install(app)
    app.mount("/", Starlette())
    async with running(app) as http:
        await sign_in(http)
        assert (await http.get("/api/me")).text == "the host's"


def test_settings_of_the_environment_that_cannot_be_used_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UNEXPIRED_SECRET", "weak")
    with pytest.raises(SettingsError, match="Setting secret: is too weak"):
        Auth()


async def test_a_session_is_opened_only_for_a_user(auth: Auth) -> None:
    request = Request({"type": "http", "headers": [], "client": None})
    with pytest.raises(TypeError, match="user is a User, not SimpleNamespace"):
        await auth.open_session(SimpleNamespace(id=7), request)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"settings": {"signup": True}}, "settings is of the class Settings, not dict"),
        ({"verifier": "https://x.example"}, "verifier is of the class TokenVerifier, not str"),
    ],
)
def test_an_argument_of_another_class_is_named(arguments: dict[str, Any], message: str) -> None:
    """At once, and not when the first token is verified."""
    with pytest.raises(TypeError, match=message):
        Auth(**arguments)


def test_a_verifier_excludes_what_an_issuer_needs(make_settings: Callable[..., Settings]) -> None:
    verifier = JWKSVerifier("https://sign-in.example/.well-known/jwks.json")
    with pytest.raises(TypeError, match="verifier and settings exclude"):
        Auth(make_settings(), verifier=verifier)
    with pytest.raises(TypeError, match="verifier and claims exclude"):
        Auth(verifier=verifier, claims=lambda _user: {})


def test_without_settings_those_of_the_environment_are_used(
    monkeypatch: pytest.MonkeyPatch, make_settings: Callable[..., Settings]
) -> None:
    given = make_settings()
    monkeypatch.setenv("UNEXPIRED_DATABASE_URL", given.database_url)
    monkeypatch.setenv("UNEXPIRED_KEYS_FILE", str(given.keys_file))
    monkeypatch.setenv("UNEXPIRED_ISSUER", "of the environment")
    assert Auth().service.settings.issuer == "of the environment"


async def test_the_lifespan_is_entered_in_a_hosts_own(auth: Auth) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        async with auth.lifespan(app):
            yield {"host": "own"}

    async with running(fastapi_app(auth, lifespan=lifespan)) as http:
        await sign_in(http)


async def test_the_lifespan_is_entered_once_at_a_time_and_again_later(auth: Auth) -> None:
    for _ in range(2):
        async with auth.lifespan():
            with pytest.raises(RuntimeError, match="entered already"):
                async with auth.lifespan():
                    pass


@pytest.mark.parametrize("make_app", [Starlette, FastAPI])
async def test_without_the_lifespan_requests_are_answered_with_503(
    auth: Auth, make_app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = fastapi_app(auth) if make_app is FastAPI else starlette_app(auth)
    async with client_of(app) as http:
        for path in ("/api/me", "/whoami"):
            assert (await http.get(path)).status_code == 503
    assert "lifespan=auth.lifespan" in caplog.text


# -- What stays the host's -------------------------------------------------------------------------


def add_host_routes(app: Starlette) -> None:
    def raising(status: int) -> Route:
        async def endpoint(_request: Request) -> Response:
            raise HTTPException(status, "the host's own", headers={"X-Host": "1"})

        return Route(f"/{status}", endpoint)

    async def fault(_request: Request) -> Response:
        raise LookupError("the host's bug")

    async def item(request: Request) -> Response:
        return PlainTextResponse(request.path_params["number"])

    routes: list[BaseRoute] = [raising(status) for status in (401, 403, 404, 405, 409, 418, 500)]
    app.router.routes.extend([*routes, Route("/fault", fault), Route("/items/{number:int}", item)])


@pytest.mark.parametrize("make_app", [Starlette, FastAPI])
async def test_every_response_of_the_hosts_is_what_it_was(auth: Auth, make_app: Any) -> None:
    def make() -> Any:
        app = make_app(middleware=[Middleware(SecurityHeadersMiddleware)])
        add_host_routes(app)
        return app

    before, after = make(), make()
    handlers = dict(after.exception_handlers)
    middleware, lifespan = list(after.user_middleware), after.router.lifespan_context
    auth.install(after)
    assert after.user_middleware == middleware
    assert after.router.lifespan_context is lifespan
    added = after.exception_handlers.keys() - handlers.keys()
    assert added == {Failure}
    paths = ["/401", "/403", "/404", "/405", "/409", "/418", "/500", "/fault", "/nowhere",
             "/items/x", "/api", "/api/nothing", "/401/"]  # fmt: skip
    async with client_of(before) as old, client_of(after) as new:
        for path in paths:
            for method in ("GET", "DELETE", "OPTIONS"):
                then, now = await old.request(method, path), await new.request(method, path)
                assert (now.status_code, now.content) == (then.status_code, then.content), path
                assert now.headers == then.headers


async def test_fastapis_validation_and_documentation_stay_as_they_were(auth: Auth) -> None:
    def make() -> FastAPI:
        app = FastAPI(docs_url="/manual", redoc_url=None)

        @app.get("/items/{number}")
        async def item(number: int) -> int:
            return number

        return app

    before, after = make(), make()
    auth.install(after)
    async with client_of(before) as old, client_of(after) as new:
        for path in ("/items/x", "/items/5", "/manual", "/docs", "/redoc"):
            then, now = await old.get(path), await new.get(path)
            assert (now.status_code, now.content) == (then.status_code, then.content)


async def test_a_hosts_own_handler_for_our_failures_stays(auth: Auth) -> None:
    async def teapot(_request: Request, exc: Any) -> Response:
        return JSONResponse({"host": exc.code}, 418)

    app = fastapi_app(auth, exception_handlers={Failure: teapot})
    async with running(app) as http:
        response = await http.get("/whoami")
    assert (response.status_code, response.json()) == (418, {"host": "NO_TOKEN"})


async def test_a_hosts_own_dependencies_do_not_stand_before_our_routes(auth: Auth) -> None:
    app = fastapi_app(auth, dependencies=[Depends(auth.user)])
    async with running(app) as http:
        tokens = await sign_in(http)
        assert (await http.get("/greeting")).json()["code"] == "NO_TOKEN"
        response = await http.get("/greeting", headers=bearer(tokens["accessToken"]))
        assert response.status_code == 200


# -- The current user in FastAPI -------------------------------------------------------------------


async def test_the_user_is_a_dependency_that_needs_no_query(auth: Auth, clock: FakeClock) -> None:
    async with running(fastapi_app(auth)) as http:
        token = with_scopes(auth, clock, "orders:read", jti="mine")
        response = await http.get("/whoami", headers=bearer(token))
        # The session is in no database, and the token is good all the same.
        assert response.json() == {"id": "0" * 32, "scopes": ["orders:read"], "jti": "mine"}


@pytest.mark.parametrize("strict", [False, True])
async def test_a_refused_token_has_our_code_and_challenge(
    make_auth: MakeAuth, clock: FakeClock, *, strict: bool
) -> None:
    auth = make_auth(strict_rfc6750=strict)
    async with running(fastapi_app(auth)) as http:
        expired = with_scopes(auth, clock, exp=int(clock()) - 100, iat=int(clock()) - 200)
        for token, status, code in (
            (None, 401, "NO_TOKEN"),
            ("x", 401 if strict else 403, "INVALID_TOKEN"),
            (expired, 401, "TOKEN_EXPIRED"),
        ):
            for path in ("/whoami", "/account"):
                response = await http.get(path, headers=bearer(token) if token else {})
                assert (response.status_code, response.json()["code"]) == (status, code)
                assert response.headers["www-authenticate"].startswith("Bearer")
                assert response.headers["cache-control"] == "no-store"


async def test_a_session_that_was_signed_out_is_refused(auth: Auth) -> None:
    async with running(fastapi_app(auth)) as http:
        tokens = await sign_in(http)
        headers = bearer(tokens["accessToken"])
        assert (await http.get("/whoami", headers=headers)).status_code == 200
        await http.post("/api/logout", json={"refreshToken": tokens["refreshToken"]})
        response = await http.get("/whoami", headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "SESSION_REVOKED")


async def test_the_account_is_what_the_table_has_now(auth: Auth, clock: FakeClock) -> None:
    async with running(fastapi_app(auth)) as http:
        tokens = await sign_in(http)
        account = await http.get("/account", headers=bearer(tokens["accessToken"]))
        assert account.json() == {"id": tokens["user"]["id"], "username": "ada"}
        gone = await http.get("/account", headers=bearer(with_scopes(auth, clock)))
        assert (gone.status_code, gone.json()["code"]) == (401, "SESSION_REVOKED")


async def test_a_public_page_greets_who_is_signed_in_and_refuses_a_bad_token(auth: Auth) -> None:
    async with running(fastapi_app(auth)) as http:
        tokens = await sign_in(http)
        assert (await http.get("/greeting")).json() == "Hello guest"
        known = await http.get("/greeting", headers=bearer(tokens["accessToken"]))
        assert known.json() == f"Hello {tokens['user']['id']}"
        assert (await http.get("/greeting", headers=bearer("x"))).status_code == 403


async def test_every_scope_is_needed_and_the_challenge_names_them(
    auth: Auth, clock: FakeClock
) -> None:
    async with running(fastapi_app(auth)) as http:

        async def delete(*scopes: str) -> httpx.Response:
            return await http.delete("/orders", headers=bearer(with_scopes(auth, clock, *scopes)))

        assert (await delete("orders:read", "orders:write", "more")).status_code == 200
        for scopes in ((), ("orders:read",), ("orders:write",)):
            response = await delete(*scopes)
            assert (response.status_code, response.json()["code"]) == (403, "FORBIDDEN")
            challenge = response.headers["www-authenticate"]
            assert 'error="insufficient_scope"' in challenge
            assert 'scope="orders:read orders:write"' in challenge
        assert (await http.delete("/orders")).json()["code"] == "NO_TOKEN"


async def test_requires_without_scopes_lets_every_user_in(auth: Auth, clock: FakeClock) -> None:
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.get("/", dependencies=[Depends(auth.requires())])
    async def index() -> str:
        return "in"

    async with running(app) as http:
        assert (await http.get("/", headers=bearer(with_scopes(auth, clock)))).json() == "in"
        assert (await http.get("/")).status_code == 401


@pytest.mark.parametrize("scope", ["", "a b", 'a"b', "ä"])
def test_a_bad_scope_is_refused_where_it_is_written(auth: Auth, scope: str) -> None:
    with pytest.raises(ValueError, match="scope"):
        auth.requires(scope)
    with pytest.raises(ValueError, match="scope"):
        requires(scope)


async def test_a_test_of_the_host_overrides_the_user_also_for_scopes(auth: Auth) -> None:
    app = fastapi_app(auth)
    scopes = frozenset({"orders:read", "orders:write"})
    app.dependency_overrides[auth.user] = lambda: User("1", "eve", scopes, {"jti": "none"})
    async with client_of(app) as http:  # Without the lifespan: nothing is verified.
        assert (await http.get("/whoami")).json()["id"] == "1"
        assert (await http.delete("/orders")).json() == "deleted"


# -- Sessions that the host opens, and its own users -----------------------------------------------


@dataclass(frozen=True)
class Member(User):
    """A user of the host's own class."""

    plan: str = ""


class Members:
    """The host's own table of users."""

    def __init__(self) -> None:
        self.all = {"7": Member("7", "ada", frozenset({"read"}), plan="gold")}

    async def authenticate(self, username: str, password: str, **_fields: Any) -> User | None:
        return self.all["7"] if (username, password) == ("ada", PASSWORD) else None

    async def find(self, user_id: str) -> User | None:
        return self.all.get(user_id)


async def test_a_host_opens_a_session_for_a_user_of_the_built_in_table(auth: Auth) -> None:
    app = fastapi_app(auth)

    @app.post("/link")
    async def link(request: Request) -> JSONResponse:
        ada = await auth.service.users.find("ada")
        assert ada is not None
        return JSONResponse(await auth.open_session(User(ada.id), request))

    async with running(app) as http:
        usual = await sign_in(http)
        response = await http.post("/link", headers={"User-Agent": "a phone"})
        tokens = response.json()
        assert tokens.keys() == usual.keys()
        assert tokens["user"] == usual["user"]
        headers = bearer(tokens["accessToken"])
        listed = (await http.get("/api/sessions", headers=headers)).json()["sessions"]
        (session,) = (one for one in listed if one["current"])
        assert (session["device"], session["address"]) == ("a phone", "127.0.0.1")
        body = {"refreshToken": tokens["refreshToken"]}
        assert (await http.post("/api/refresh", json=body)).status_code == 200


async def test_a_session_for_nobody_is_refused(auth: Auth) -> None:
    app = fastapi_app(auth)

    @app.post("/link")
    async def link(request: Request) -> dict[str, Any]:
        return await auth.open_session(User("nobody"), request)

    async with running(app) as http:
        response = await http.post("/link")
    assert (response.status_code, response.json()["code"]) == (401, "BAD_CREDENTIALS")
    async with client_of(app) as http:  # Nothing runs any more.
        assert (await http.post("/link")).json()["code"] == "UNAVAILABLE"


async def test_users_of_the_hosts_own_keep_their_class_and_their_scopes(
    make_settings: Callable[..., Settings], clock: FakeClock
) -> None:
    members = Members()
    auth = Auth(make_settings(), users=members, claims=lambda user: {"n": user.username}, now=clock)
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.get("/plan")
    async def plan(
        user: Annotated[User, Depends(auth.requires("read"))],
        account: Annotated[Member, Depends(auth.account)],
    ) -> list[str]:
        return [user.id, user.claims["n"], account.plan]

    @app.post("/link")
    async def link(request: Request) -> dict[str, Any]:
        return await auth.open_session(members.all["7"], request)

    async with running(app) as http:
        for tokens in (await sign_in(http), (await http.post("/link")).json()):
            assert tokens["user"] == {"id": "7", "username": "ada", "scopes": ["read"]}
            response = await http.get("/plan", headers=bearer(tokens["accessToken"]))
            assert response.json() == ["7", "ada", "gold"]
        members.all.clear()
        gone = await http.get("/plan", headers=bearer(tokens["accessToken"]))
        assert (gone.status_code, gone.json()["code"]) == (401, "SESSION_REVOKED")


@pytest.mark.parametrize("make_app", [Starlette, FastAPI])
async def test_public_keys_are_published_for_services_that_verify(
    make_auth: MakeAuth, make_app: Any
) -> None:
    auth = make_auth(algorithm="EdDSA")
    app = make_app(lifespan=auth.lifespan)
    auth.install(app, prefix="/auth")
    assert "/.well-known/jwks.json" in {route.path for route in app.routes}
    async with running(app) as http:
        response = await http.get("/.well-known/jwks.json")
    assert response.json() == {"keys": auth.service.ring.public()}
    assert "max-age" in response.headers["cache-control"]


def test_without_public_keys_there_is_no_such_route(auth: Auth) -> None:
    app = Starlette()
    auth.install(app)
    paths = {route.path for route in app.routes if isinstance(route, Route)}
    assert "/.well-known/jwks.json" not in paths


# -- FastAPI's OpenAPI document --------------------------------------------------------------------


class UserOut(BaseModel):
    """A host's own model, with a name that one of ours has too."""

    nickname: str


class ErrorOut(BaseModel):
    """Another one."""

    reason: int


def hosts_operations(app: FastAPI) -> None:
    @app.get("/people/{number}", responses={404: {"model": ErrorOut}})
    async def login(number: int) -> UserOut:
        return UserOut(nickname=str(number))


async def test_our_operations_are_in_fastapis_document_once_and_the_hosts_are_unchanged(
    auth: Auth,
) -> None:
    plain, app = FastAPI(title="Host"), FastAPI(title="Host")
    for one in (plain, app):
        hosts_operations(one)
    auth.install(app, prefix="/auth")
    before, document = plain.openapi(), app.openapi()
    ours = {path: item for path, item in document["paths"].items() if path not in before["paths"]}
    assert {(path, method) for path, item in ours.items() for method in item} >= {
        ("/auth/login", "post"), ("/auth/refresh", "post"), ("/auth/logout", "post"),
        ("/auth/logout-all", "post"), ("/auth/me", "get"), ("/auth/sessions", "get"),
        ("/auth/sessions/{id}", "delete"),
    }  # fmt: skip
    assert {tag for item in ours.values() for one in item.values() for tag in one["tags"]} == {
        "auth"
    }
    assert {path: document["paths"][path] for path in before["paths"]} == before["paths"]
    assert document["components"]["schemas"] == before["components"]["schemas"]
    assert document["info"] == before["info"]
    schemathesis.openapi.from_dict(document).validate()
    operations = [one for item in document["paths"].values() for one in item.values()]
    ids = [one["operationId"] for one in operations]
    assert len(ids) == len(set(ids))


async def test_our_operations_say_what_they_take_and_return(auth: Auth) -> None:
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)
    paths = app.openapi()["paths"]
    login = paths["/api/login"]["post"]
    assert login["summary"] == "Sign in"
    body = login["requestBody"]["content"]["application/json"]["schema"]
    assert {"username", "password"} <= set(body["required"])
    async with running(app) as http:
        tokens = await sign_in(http)
    schema = login["responses"]["200"]["content"]["application/json"]["schema"]
    validator_for(schema).validate(tokens)
    assert "BAD_CREDENTIALS" in json.dumps(login["responses"]["401"])
    assert paths["/api/logout-all"]["post"]["responses"].keys() >= {"204", "401", "403", "503"}
    assert "$ref" not in json.dumps([item for path, item in paths.items() if "/api/" in path])


async def test_authorize_in_the_documentation_works_and_operations_with_a_user_show_the_lock(
    auth: Auth,
) -> None:
    document = fastapi_app(auth).openapi()
    schemes = document["components"]["securitySchemes"]
    (name,) = schemes
    assert schemes[name] == {
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": schemes[name]["description"],
    }  # fmt: skip
    paths = document["paths"]
    security = {
        (path, method): one.get("security")
        for path, item in paths.items()
        for method, one in item.items()
    }
    assert security["/whoami", "get"] == [{name: []}]
    assert security["/account", "get"] == [{name: []}]
    assert security["/greeting", "get"] == [{name: []}]
    assert security["/api/me", "get"] == [{name: []}]
    assert security["/orders", "delete"] == [{name: ["orders:read", "orders:write"]}]
    assert security["/api/login", "post"] is None
    assert all(
        "parameters" not in one for one in (paths["/whoami"]["get"], paths["/orders"]["delete"])
    )


# -- Starlette -------------------------------------------------------------------------------------


def described(request: Request) -> Response:
    return JSONResponse({"id": request.user.id, "scopes": request.auth.scopes})


@requires()
async def whoami(request: Request) -> Response:
    return described(request)


@requires("orders:write")
def write_orders(request: Request) -> Response:
    return described(request)


class Orders(HTTPEndpoint):
    @requires("orders:write")
    async def get(self, request: Request) -> Response:
        return described(request)

    @requires()
    def delete(self, request: Request) -> Response:
        return described(request)


ROUTES: list[BaseRoute] = [
    Route("/whoami", whoami),
    Route("/orders", write_orders, methods=["POST"]),
    Route("/class", Orders),
]


def starlette_app(auth: Auth, routes: list[BaseRoute] = ROUTES) -> Starlette:
    app = Starlette(routes=routes, lifespan=auth.lifespan)
    auth.install(app)
    return app


async def test_in_starlette_requires_guards_functions_and_methods_sync_and_async(
    auth: Auth, clock: FakeClock
) -> None:
    async with running(starlette_app(auth)) as http:
        plain, able = with_scopes(auth, clock), with_scopes(auth, clock, "orders:write")
        for method, path, needs_scope in (
            ("GET", "/whoami", False), ("POST", "/orders", True),
            ("GET", "/class", True), ("DELETE", "/class", False),
        ):  # fmt: skip
            nobody = await http.request(method, path)
            assert (nobody.status_code, nobody.json()["code"]) == (401, "NO_TOKEN")
            response = await http.request(method, path, headers=bearer(able))
            assert response.json() == {"id": "0" * 32, "scopes": ["authenticated", "orders:write"]}
            unable = await http.request(method, path, headers=bearer(plain))
            assert unable.status_code == (403 if needs_scope else 200)


async def test_in_starlette_the_user_is_awaited_with_the_request(auth: Auth) -> None:
    async def endpoint(request: Request) -> Response:
        user = await auth.user(request)
        account = await auth.account(request)
        return JSONResponse([user.id, account.username])

    async with running(starlette_app(auth, [Route("/", endpoint)])) as http:
        tokens = await sign_in(http)
        response = await http.get("/", headers=bearer(tokens["accessToken"]))
        assert response.json() == [tokens["user"]["id"], "ada"]
        assert (await http.get("/")).json()["code"] == "NO_TOKEN"


@pytest.mark.parametrize(
    "nested",
    [
        lambda: Mount("/sub", routes=ROUTES),
        lambda: Mount("/sub", app=Starlette(routes=ROUTES)),
        lambda: Mount("/sub", app=SecurityHeadersMiddleware(Starlette(routes=ROUTES))),
        lambda: Mount("/sub", app=FastAPI(routes=ROUTES)),
        lambda: Mount("", routes=[Mount("/sub", app=Starlette(routes=ROUTES))]),
        lambda: Host("a", app=Starlette(routes=[Mount("/sub", routes=ROUTES)])),
    ],
)
@pytest.mark.parametrize("make_app", [Starlette, FastAPI])
async def test_requires_works_in_mounted_applications(
    auth: Auth, clock: FakeClock, nested: Any, make_app: Any
) -> None:
    app = make_app(lifespan=auth.lifespan)
    auth.install(app)
    app.router.routes.append(nested())
    async with running(app) as http:
        response = await http.get("/sub/whoami", headers=bearer(with_scopes(auth, clock)))
        assert response.status_code == 200
        # The mounted application has no handler for our failures.
        refused = await http.get("/sub/whoami")
        assert (refused.status_code, refused.json()["code"]) == (401, "NO_TOKEN")


async def test_the_dependency_works_in_a_mounted_fastapi_application_and_a_router(
    auth: Auth, clock: FakeClock
) -> None:
    sub, router = FastAPI(), APIRouter(prefix="/router")
    for one in (sub, router):

        @one.get("/id")
        async def identity(user: Annotated[User, Depends(auth.user)]) -> str:
            return user.id

    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)
    app.mount("/sub", sub)
    app.include_router(router)
    async with running(app) as http:
        for path in ("/sub/id", "/router/id"):
            token = with_scopes(auth, clock)
            assert (await http.get(path, headers=bearer(token))).json() == "0" * 32
            refused = await http.get(path)
            assert (refused.status_code, refused.json()["code"]) == (401, "NO_TOKEN")


async def test_requires_in_fastapi_guards_sync_and_async_functions(
    auth: Auth, clock: FakeClock
) -> None:
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.get("/sync/{number}")
    @requires()
    def sync_endpoint(request: Request, number: int) -> str:
        return f"{request.user.id[:2]} {number}"

    @app.get("/async/{number}")
    @requires()
    async def async_endpoint(request: Request, number: int) -> str:
        return f"{request.user.id[:2]} {number}"

    async with running(app) as http:
        for path in ("/sync", "/async"):
            response = await http.get(f"{path}/5", headers=bearer(with_scopes(auth, clock)))
            assert response.json() == "00 5"
            assert (await http.get(f"{path}/5")).status_code == 401


async def test_requires_without_an_installed_auth_says_what_is_missing() -> None:
    app = Starlette(routes=ROUTES)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a") as http:
        with pytest.raises(RuntimeError, match=r"auth\.install\(app\)"):
            await http.get("/whoami")


def test_requires_names_its_misuse() -> None:
    with pytest.raises(TypeError, match=r"@requires\(\)"):
        requires(described)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a method of Orders"):
        requires()(Orders)
    with pytest.raises(TypeError, match="argument request or websocket"):
        requires()(lambda: None)


# -- A resource server -----------------------------------------------------------------------------


def resource_server(service: Service) -> Auth:
    async def fetch(_address: str) -> bytes:
        return json.dumps({"keys": service.ring.public()}).encode()

    verifier = JWKSVerifier("https://sign-in.example/jwks", now=service.now, fetch=fetch)
    return Auth(verifier=verifier)


async def test_a_resource_server_verifies_with_our_codes_and_has_neither_routes_nor_database(
    make_auth: MakeAuth, clock: FakeClock
) -> None:
    issuer = make_auth(algorithm="EdDSA")
    auth = resource_server(issuer.service)
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.get("/id")
    async def identity(user: Annotated[User, Depends(auth.user)]) -> str:
        return user.id

    @app.get("/never", dependencies=[Depends(auth.requires("orders:write"))])
    async def never() -> None:
        raise AssertionError

    async with issuer.lifespan(), client_of(Starlette(routes=issuer.service.routes())) as http:
        token = (await sign_in(http))["accessToken"]
    async with running(app) as http:
        assert len((await http.get("/id", headers=bearer(token))).json()) == 32
        for path, headers, status, code in (
            ("/id", {}, 401, "NO_TOKEN"),
            ("/id", bearer("x"), 403, "INVALID_TOKEN"),
            ("/never", bearer(token), 403, "FORBIDDEN"),
        ):
            response = await http.get(path, headers=headers)
            assert (response.status_code, response.json()["code"]) == (status, code)
        clock.advance(10_000)
        response = await http.get("/id", headers=bearer(token))
        assert response.json()["code"] == "TOKEN_EXPIRED"
        assert (await http.post("/api/login")).status_code == 404


def test_a_resource_server_says_that_it_has_no_users() -> None:
    auth = Auth(verifier=JWKSVerifier("https://sign-in.example/jwks"))
    with pytest.raises(RuntimeError, match="only verifies"):
        auth.service  # noqa: B018 - It raises.
    with pytest.raises(RuntimeError, match="only verifies"):
        auth.account  # noqa: B018 - It raises.


# -- Without FastAPI -------------------------------------------------------------------------------


def test_starlette_needs_no_fastapi(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['fastapi'] = None\n"
        "import inspect\n"
        "from starlette.applications import Starlette\n"
        "from unexpired_server import Auth, Settings, requires\n"
        "auth = Auth(Settings())\n"
        "app = Starlette(lifespan=auth.lifespan)\n"
        "auth.install(app)\n"
        "print(*inspect.signature(auth.user).parameters)\n"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "request user\n"), done.stderr


def test_a_failure_can_be_raised_in_any_route_of_the_host() -> None:
    assert issubclass(TokenMissing, Failure)
    assert failure_handlers(strict=False).keys() == {Failure}
