"""The library with servers of other shapes, each described by a Dialect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from examples.fastapi_backend.main import ACCESS_TTL, Accounts, create_app
from tests.contract.conftest import BASE, ASGITransport
from tests.support.clock import FakeClock
from unexpired import (
    AsyncClient,
    BadCredentials,
    Dialect,
    Headers,
    MemoryStore,
    Request,
    Response,
    SessionExpired,
    Unreachable,
)

PASSWORD = "correct horse"


# -- The example with FastAPI ----------------------------------------------------------------------


@dataclass
class SignedIn:
    """A client in which ada is signed in to the FastAPI example."""

    clock: FakeClock
    accounts: Accounts
    transport: ASGITransport
    store: MemoryStore
    client: AsyncClient

    def calls(self) -> list[str]:
        """Return the paths of the requests since the last call of this method."""
        paths, self.transport.paths = self.transport.paths, []
        return paths


@pytest.fixture
async def ada() -> AsyncIterator[SignedIn]:
    clock, store = FakeClock(), MemoryStore()
    app = create_app(clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        transport = ASGITransport(http)
        client = AsyncClient(
            transport,
            store=store,
            clock=clock,
            base_url=BASE,
            login_path="/token",
            refresh_path="/token",
            logout_path="/revoke",
            dialect=Dialect.oauth(),
        )
        await client.sign_in("ada", PASSWORD)
        transport.paths.clear()
        yield SignedIn(clock, app.state.accounts, transport, store, client)


async def test_calls_to_fastapi_over_six_hours_never_get_a_401(ada: SignedIn) -> None:
    for minute in range(6 * 60):
        ada.clock.advance(60)
        response = await ada.client.get("/users/me")
        assert (response.status_code, response.json()) == (200, {"username": "ada"}), minute
    refreshes = ada.calls().count("/token")
    assert refreshes == 6 * 3600 / (ACCESS_TTL - 60)  # Each a minute before the token expires.


async def test_a_plain_401_of_fastapi_costs_one_refresh_and_one_retry(ada: SignedIn) -> None:
    ada.accounts.key = "a key of thirty-two bytes or more, just rotated"
    assert (await ada.client.get("/users/me")).status_code == 200
    assert ada.calls() == ["/users/me", "/token", "/users/me"]


async def test_a_hundred_calls_to_fastapi_share_one_refresh(ada: SignedIn) -> None:
    """Its refresh tokens can be used once, so a second refresh would end the session."""
    ada.accounts.key = "a key of thirty-two bytes or more, just rotated"
    responses = await asyncio.gather(*(ada.client.get("/users/me") for _ in range(100)))
    assert {response.status_code for response in responses} == {200}
    assert ada.calls().count("/token") == 1


async def test_invalid_grant_ends_the_session_with_a_friendly_message(ada: SignedIn) -> None:
    ada.accounts.refresh_tokens.clear()
    ada.clock.advance(ACCESS_TTL)
    with pytest.raises(SessionExpired, match=r"^Your session has expired\. Please log in again\.$"):
        await ada.client.get("/users/me")
    assert ada.store.load() is None


async def test_an_outage_of_fastapi_does_not_end_the_session(ada: SignedIn) -> None:
    ada.clock.advance(ACCESS_TTL)
    ada.transport.is_offline = True
    with pytest.raises(Unreachable):
        await ada.client.refresh()
    ada.transport.is_offline = False
    ada.clock.advance(60)
    assert (await ada.client.get("/users/me")).status_code == 200


async def test_a_sign_out_revokes_the_refresh_token_at_fastapi(ada: SignedIn) -> None:
    assert len(ada.accounts.refresh_tokens) == 1
    await ada.client.sign_out()
    assert not ada.accounts.refresh_tokens


async def test_a_wrong_password_to_fastapi_raises_bad_credentials(ada: SignedIn) -> None:
    with pytest.raises(BadCredentials):
        await ada.client.sign_in("ada", PASSWORD + "!")


# -- Servers of other shapes ----------------------------------------------------------------------


def json_of(request: Request) -> dict[str, Any]:
    assert isinstance(request.body, bytes)
    fields: dict[str, Any] = json.loads(request.body)
    return fields


def form_of(request: Request) -> dict[str, Any]:
    assert isinstance(request.body, bytes)
    return {name: value for name, (value,) in parse_qs(request.body.decode()).items()}


def bearer_of(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


Fields = dict[str, Any]
JSONResponse = tuple[int, Fields]


@dataclass(frozen=True)
class Shape:
    """How one kind of server responds.

    Attributes:
        dialect: How the client is configured for it.
        token_fields: The fields that hold an access token and a refresh token.
        refresh_token: Reads the refresh token from a request.
        expired: The response to an expired access token.
        refused: The response to a refresh token that is not accepted.
        wrong_password: The response to a wrong password.
        credentials: Reads the username and the password from a request.
    """

    dialect: Dialect
    token_fields: Callable[[str, str], Fields]
    refresh_token: Callable[[Request], str]
    expired: JSONResponse
    refused: JSONResponse
    wrong_password: JSONResponse
    credentials: Callable[[Request], tuple[str, str]] = lambda request: (
        json_of(request)["username"],
        json_of(request)["password"],
    )


SHAPES = {
    # Responses of djangorestframework-simplejwt 5.5.
    "simplejwt": Shape(
        Dialect.simplejwt(),
        token_fields=lambda access, refresh: {"access": access, "refresh": refresh},
        refresh_token=lambda request: json_of(request)["refresh"],
        expired=(401, {"detail": "Given token not valid", "code": "token_not_valid"}),
        refused=(401, {"detail": "Token is expired", "code": "token_not_valid"}),
        wrong_password=(401, {"detail": "No active account found with the given credentials"}),
    ),
    # Responses of Flask-JWT-Extended 4.7.
    "flask_jwt_extended": Shape(
        Dialect.flask_jwt_extended(),
        token_fields=lambda access, refresh: {"access_token": access, "refresh_token": refresh},
        refresh_token=bearer_of,
        expired=(401, {"msg": "Token has expired"}),
        refused=(401, {"msg": "Token has expired"}),
        wrong_password=(401, {"msg": "Bad username or password"}),
    ),
    "everything in an envelope": Shape(
        Dialect(
            access_token="data.access.token",
            refresh_token="data.refresh.token",
            error_code="fault.reason",
            username="email",
            refresh_field="refresh",
            login_fields={"device": "web"},
            expired=frozenset({"stale"}),
            refused=frozenset({"unknown"}),
        ),
        token_fields=lambda access, refresh: {
            "data": {"access": {"token": access}, "refresh": {"token": refresh}}
        },
        refresh_token=lambda request: json_of(request)["refresh"],
        expired=(403, {"fault": {"reason": "stale"}}),
        refused=(400, {"fault": {"reason": "unknown"}}),
        wrong_password=(401, {"fault": {"reason": "credentials"}}),
        credentials=lambda request: (json_of(request)["email"], json_of(request)["password"]),
    ),
    "forms, and 401 for everything": Shape(
        Dialect(encoding="form", bare_401="expired", refused_statuses=frozenset({401})),
        token_fields=lambda access, refresh: {"accessToken": access, "refreshToken": refresh},
        refresh_token=lambda request: form_of(request)["refreshToken"],
        expired=(401, {}),
        refused=(401, {}),
        wrong_password=(401, {}),
        credentials=lambda request: (form_of(request)["username"], form_of(request)["password"]),
    ),
}


@dataclass
class DialectServer:
    """A server of some shape that accepts its newest access token and refresh token only."""

    shape: Shape
    issued: int = 0
    refresh_token: str = ""
    paths: list[str] = field(default_factory=list)
    is_expired: bool = False

    async def send(self, request: Request) -> Response:
        path = request.url.removeprefix(BASE)
        self.paths.append(path)
        status, fields = self._respond(path, request)
        return Response(status, Headers(), json.dumps(fields).encode())

    def _respond(self, path: str, request: Request) -> JSONResponse:
        match path:
            case "/api/login":
                is_ada = self.shape.credentials(request) == ("ada", PASSWORD)
                return self._issue() if is_ada else self.shape.wrong_password
            case "/api/refresh":
                is_known = self.shape.refresh_token(request) == self.refresh_token
                return self._issue() if is_known else self.shape.refused
            case "/api/logout":
                assert self.shape.refresh_token(request) == self.refresh_token
                self.refresh_token = ""
                return 200, {}
        is_good = bearer_of(request) == f"a{self.issued}" and not self.is_expired
        return (200, {"ok": True}) if is_good else self.shape.expired

    def _issue(self) -> JSONResponse:
        self.issued, self.is_expired = self.issued + 1, False
        self.refresh_token = f"r{self.issued}"
        return 200, self.shape.token_fields(f"a{self.issued}", self.refresh_token)


@pytest.fixture(params=SHAPES)
def server(request: pytest.FixtureRequest) -> DialectServer:
    return DialectServer(SHAPES[request.param])


async def sign_in(server: DialectServer) -> AsyncClient:
    client = AsyncClient(server, base_url=BASE, dialect=server.shape.dialect)
    await client.sign_in("ada", PASSWORD)
    server.paths.clear()
    return client


async def test_an_expired_token_is_refreshed_in_each_dialect(server: DialectServer) -> None:
    client = await sign_in(server)
    for _ in range(3):
        server.is_expired = True
        assert (await client.get("/things")).json() == {"ok": True}
    assert server.paths == ["/things", "/api/refresh", "/things"] * 3


async def test_a_refused_refresh_ends_the_session_in_each_dialect(server: DialectServer) -> None:
    client = await sign_in(server)
    ends: list[str] = []
    client.on("expired", ends.append)
    server.is_expired, server.refresh_token = True, "another"
    outcomes = await asyncio.gather(
        *(client.get("/things") for _ in range(10)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {SessionExpired}
    assert ends == ["REFRESH_INVALID"]
    assert server.paths.count("/api/refresh") == 1


async def test_a_wrong_password_raises_bad_credentials_in_each_dialect(
    server: DialectServer,
) -> None:
    client = AsyncClient(server, base_url=BASE, dialect=server.shape.dialect)
    with pytest.raises(BadCredentials):
        await client.sign_in("ada", PASSWORD + "!")


async def test_a_sign_out_revokes_the_refresh_token_in_each_dialect(server: DialectServer) -> None:
    client = await sign_in(server)
    await client.sign_out()
    assert (server.paths, server.refresh_token) == (["/api/logout"], "")
