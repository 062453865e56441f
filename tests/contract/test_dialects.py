"""The library with back ends that know nothing of it, each in words of its own."""

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
from tests.contract.conftest import BASE, Wire
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
class Person:
    """Ada, signed in to the FastAPI example by a client that no test has helped."""

    clock: FakeClock
    accounts: Accounts
    wire: Wire
    store: MemoryStore
    client: AsyncClient

    def calls(self) -> list[str]:
        """Return the paths that were asked for since the last look."""
        carried, self.wire.carried = self.wire.carried, []
        return carried


@pytest.fixture
async def person() -> AsyncIterator[Person]:
    clock, store = FakeClock(), MemoryStore()
    app = create_app(clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        wire = Wire(http)
        client = AsyncClient(
            wire,
            store=store,
            clock=clock,
            base_url=BASE,
            login_path="/token",
            refresh_path="/token",
            logout_path="/revoke",
            dialect=Dialect.oauth(),
        )
        await client.sign_in("ada", PASSWORD)
        wire.carried.clear()
        yield Person(clock, app.state.accounts, wire, store, client)


async def test_six_hours_of_calls_to_fastapi_is_never_answered_with_401(person: Person) -> None:
    for minute in range(6 * 60):
        person.clock.advance(60)
        response = await person.client.get("/users/me")
        assert (response.status_code, response.json()) == (200, {"username": "ada"}), minute
    refreshes = person.calls().count("/token")
    assert refreshes == 6 * 3600 / (ACCESS_TTL - 60)  # Each a minute before its token's end.


async def test_a_plain_401_of_fastapi_costs_one_refresh_and_one_retry(person: Person) -> None:
    person.accounts.key = "a key of thirty-two bytes or more, just rotated"
    assert (await person.client.get("/users/me")).status_code == 200
    assert person.calls() == ["/users/me", "/token", "/users/me"]


async def test_a_hundred_calls_to_fastapi_share_one_refresh(person: Person) -> None:
    """Its refresh tokens are good for one use, so a second refresh would end the session."""
    person.accounts.key = "a key of thirty-two bytes or more, just rotated"
    responses = await asyncio.gather(*(person.client.get("/users/me") for _ in range(100)))
    assert {response.status_code for response in responses} == {200}
    assert person.calls().count("/token") == 1


async def test_invalid_grant_ends_the_session_with_the_friendly_sentence(person: Person) -> None:
    person.accounts.refresh_tokens.clear()
    person.clock.advance(ACCESS_TTL)
    with pytest.raises(SessionExpired, match=r"^Your session has expired\. Please log in again\.$"):
        await person.client.get("/users/me")
    assert person.store.load() is None


async def test_an_outage_of_fastapi_costs_no_session(person: Person) -> None:
    person.clock.advance(ACCESS_TTL)
    person.wire.is_cut = True
    with pytest.raises(Unreachable):
        await person.client.refresh()
    person.wire.is_cut = False
    person.clock.advance(60)
    assert (await person.client.get("/users/me")).status_code == 200


async def test_fastapi_hears_of_a_sign_out(person: Person) -> None:
    assert len(person.accounts.refresh_tokens) == 1
    await person.client.sign_out()
    assert not person.accounts.refresh_tokens


async def test_a_wrong_password_to_fastapi_is_a_typed_error(person: Person) -> None:
    with pytest.raises(BadCredentials):
        await person.client.sign_in("ada", PASSWORD + "!")


# -- Back ends of other shapes ---------------------------------------------------------------------


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
Answer = tuple[int, Fields]


@dataclass(frozen=True)
class Shape:
    """How one kind of back end speaks.

    Attributes:
        dialect: what the client is told of it.
        gives: the fields in which it gives an access token and a refresh token.
        presented: where it looks for the refresh token.
        expired: how it answers an access token whose time is over.
        refused: how it answers a refresh token that it does not take.
        wrong: how it answers a wrong password.
        credentials: the name and the password in what it was sent.
    """

    dialect: Dialect
    gives: Callable[[str, str], Fields]
    presented: Callable[[Request], str]
    expired: Answer
    refused: Answer
    wrong: Answer
    credentials: Callable[[Request], tuple[str, str]] = lambda request: (
        json_of(request)["username"],
        json_of(request)["password"],
    )


SHAPES = {
    # Replies as djangorestframework-simplejwt 5.5 gives them.
    "simplejwt": Shape(
        Dialect.simplejwt(),
        gives=lambda access, refresh: {"access": access, "refresh": refresh},
        presented=lambda request: json_of(request)["refresh"],
        expired=(401, {"detail": "Given token not valid", "code": "token_not_valid"}),
        refused=(401, {"detail": "Token is expired", "code": "token_not_valid"}),
        wrong=(401, {"detail": "No active account found with the given credentials"}),
    ),
    # Replies as Flask-JWT-Extended 4.7 gives them.
    "flask_jwt_extended": Shape(
        Dialect.flask_jwt_extended(),
        gives=lambda access, refresh: {"access_token": access, "refresh_token": refresh},
        presented=bearer_of,
        expired=(401, {"msg": "Token has expired"}),
        refused=(401, {"msg": "Token has expired"}),
        wrong=(401, {"msg": "Bad username or password"}),
    ),
    "an envelope around everything": Shape(
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
        gives=lambda access, refresh: {
            "data": {"access": {"token": access}, "refresh": {"token": refresh}}
        },
        presented=lambda request: json_of(request)["refresh"],
        expired=(403, {"fault": {"reason": "stale"}}),
        refused=(400, {"fault": {"reason": "unknown"}}),
        wrong=(401, {"fault": {"reason": "credentials"}}),
        credentials=lambda request: (json_of(request)["email"], json_of(request)["password"]),
    ),
    "forms, and nothing but 401": Shape(
        Dialect(encoding="form", bare_401="expired", refused_statuses=frozenset({401})),
        gives=lambda access, refresh: {"accessToken": access, "refreshToken": refresh},
        presented=lambda request: form_of(request)["refreshToken"],
        expired=(401, {}),
        refused=(401, {}),
        wrong=(401, {}),
        credentials=lambda request: (form_of(request)["username"], form_of(request)["password"]),
    ),
}


@dataclass
class Backend:
    """A back end of some shape: one access token and one refresh token are good at a time."""

    shape: Shape
    issued: int = 0
    refresh_token: str = ""
    carried: list[str] = field(default_factory=list)
    is_expired: bool = False

    async def send(self, request: Request) -> Response:
        path = request.url.removeprefix(BASE)
        self.carried.append(path)
        status, fields = self._answer(path, request)
        return Response(status, Headers(), json.dumps(fields).encode())

    def _answer(self, path: str, request: Request) -> Answer:
        match path:
            case "/api/login":
                is_ada = self.shape.credentials(request) == ("ada", PASSWORD)
                return self._issue() if is_ada else self.shape.wrong
            case "/api/refresh":
                is_known = self.shape.presented(request) == self.refresh_token
                return self._issue() if is_known else self.shape.refused
            case "/api/logout":
                assert self.shape.presented(request) == self.refresh_token
                self.refresh_token = ""
                return 200, {}
        is_good = bearer_of(request) == f"a{self.issued}" and not self.is_expired
        return (200, {"ok": True}) if is_good else self.shape.expired

    def _issue(self) -> Answer:
        self.issued, self.is_expired = self.issued + 1, False
        self.refresh_token = f"r{self.issued}"
        return 200, self.shape.gives(f"a{self.issued}", self.refresh_token)


@pytest.fixture(params=SHAPES)
def backend(request: pytest.FixtureRequest) -> Backend:
    return Backend(SHAPES[request.param])


async def sign_in(backend: Backend) -> AsyncClient:
    client = AsyncClient(backend, base_url=BASE, dialect=backend.shape.dialect)
    await client.sign_in("ada", PASSWORD)
    backend.carried.clear()
    return client


async def test_an_expired_token_is_refreshed_in_each_dialect(backend: Backend) -> None:
    client = await sign_in(backend)
    for _ in range(3):
        backend.is_expired = True
        assert (await client.get("/things")).json() == {"ok": True}
    assert backend.carried == ["/things", "/api/refresh", "/things"] * 3


async def test_a_refused_refresh_ends_the_session_in_each_dialect(backend: Backend) -> None:
    client = await sign_in(backend)
    ends: list[str] = []
    client.on("expired", ends.append)
    backend.is_expired, backend.refresh_token = True, "another"
    outcomes = await asyncio.gather(
        *(client.get("/things") for _ in range(10)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {SessionExpired}
    assert ends == ["REFRESH_INVALID"]
    assert backend.carried.count("/api/refresh") == 1


async def test_a_wrong_password_is_known_in_each_dialect(backend: Backend) -> None:
    client = AsyncClient(backend, base_url=BASE, dialect=backend.shape.dialect)
    with pytest.raises(BadCredentials):
        await client.sign_in("ada", PASSWORD + "!")


async def test_a_sign_out_is_heard_in_each_dialect(backend: Backend) -> None:
    client = await sign_in(backend)
    await client.sign_out()
    assert (backend.carried, backend.refresh_token) == (["/api/logout"], "")
