"""What those who know httpx expect of a client, of both kinds."""

from __future__ import annotations

import ast
import asyncio
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.fake_server import (
    API,
    AsyncFakeServer,
    FakeServer,
    SyncFakeServer,
    error_response,
    json_response,
    token_fields,
)
from unexpired import (
    AsyncClient,
    BadCredentials,
    BadReply,
    Client,
    NotSignedIn,
    Request,
    Response,
    SessionEnded,
    SessionExpired,
    UnexpiredError,
    Unreachable,
)

KINDS: dict[type[AsyncClient | Client], Callable[[FakeClock], FakeServer]] = {
    AsyncClient: AsyncFakeServer,
    Client: SyncFakeServer,
}


async def result(value: Any) -> Any:
    """Return what a method of either client returns."""
    return await value if inspect.isawaitable(value) else value


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[AsyncClient | Client]:
    """Return one of the two clients."""
    found: type[AsyncClient | Client] = request.param
    return found


@pytest.fixture
def server(kind: type[AsyncClient | Client]) -> FakeServer:
    """Return a server in memory for this kind of client."""
    return KINDS[kind](FakeClock())


Open = Callable[..., Any]


@pytest.fixture
def open_client(kind: type[AsyncClient | Client], server: FakeServer) -> Open:
    """Return a function that opens a client with these options, and signs in."""

    async def open_client(**options: Any) -> Any:
        client: Any = kind(server, clock=server.clock, **{"base_url": API, **options})  # type: ignore[arg-type]
        await result(client.sign_in("ada", "pw"))
        server.received.clear()
        return client

    return open_client


async def test_a_response_has_the_callers_request_without_the_token(
    open_client: Open, server: FakeServer
) -> None:
    client = await open_client()
    response = await result(client.get("/api/notes", params={"a": 1}, headers={"X-A": "b"}))
    assert "authorization" in server.received[0].headers
    assert isinstance(response.request, Request)
    assert (response.request.method, response.request.url) == ("GET", f"{API}/api/notes?a=1")
    assert dict(response.request.headers) == {"x-a": "b"}


# -- Errors ------------------------------------------------------------------------------------


async def failure(client: Any, url: str = "/api/notes", **options: Any) -> UnexpiredError:
    """Make a request that fails; return the error."""
    with pytest.raises(UnexpiredError) as raised:
        await result(client.post(url, **options))
    return raised.value


def secrets_in(server: FakeServer, error: UnexpiredError) -> list[str]:
    """Return the credentials among everything that the error carries."""
    about = [error.request, error.response and error.response.request]
    carried = str([(one.url, dict(one.headers), one.body) for one in about if one])
    carried += f"{error} {error!r} {error.response and error.response.content!r}"
    tokens = [str(token_fields(n, now=server.clock.wall)) for n in range(3)]
    values = [value for token in tokens for value in ast.literal_eval(token).values()]
    return [one for one in map(str, values) if len(one) > 4 and one in carried]


async def test_a_lost_connection_names_the_callers_request(
    open_client: Open, server: FakeServer
) -> None:
    def fail(_: Request) -> Response:
        raise Unreachable

    client = await open_client()
    server.responses["/api/notes"] = fail
    error = await failure(client, content=b"x")
    assert error.request is not None
    assert (error.request.method, error.request.url) == ("POST", f"{API}/api/notes")
    assert (error.request.body, "authorization" in error.request.headers) == (b"x", False)
    assert error.response is None


async def test_a_session_that_ends_names_the_request_and_the_response_that_said_so(
    open_client: Open, server: FakeServer
) -> None:
    client = await open_client()
    server.responses["/api/notes"] = lambda _: error_response(401, "SESSION_REVOKED")
    error = await failure(client)
    assert error.request is not None
    assert error.response is not None
    assert (error.response.status_code, error.response.code) == (401, "SESSION_REVOKED")
    assert error.response.request == error.request
    assert secrets_in(server, error) == []


async def test_a_refused_refresh_is_the_response_of_the_request_that_needed_it(
    open_client: Open, server: FakeServer
) -> None:
    client = await open_client()
    server.clock.advance(901)
    server.responses["/api/refresh"] = lambda _: error_response(401, "REFRESH_EXPIRED")
    error = await failure(client)
    assert isinstance(error, SessionExpired)
    assert (error.request and error.request.url) == f"{API}/api/notes"
    assert error.response is not None
    assert (error.response.code, error.response.request) == (
        "REFRESH_EXPIRED",
        Request("POST", f"{API}/api/refresh"),
    )
    assert secrets_in(server, error) == []


async def test_requests_that_share_a_failed_refresh_each_name_their_own() -> None:
    server = AsyncFakeServer(FakeClock())
    client = AsyncClient(server, clock=server.clock, base_url=API)
    await client.sign_in("ada", "pw")
    busy = error_response(503, "UNAVAILABLE", retry_after="100")
    server.clock.advance(901)
    server.responses["/api/refresh"] = lambda _: busy
    calls = [client.get("/a"), client.get("/b")]
    errors: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in errors} == {Unreachable}
    assert [error.request.url for error in errors] == [f"{API}/a", f"{API}/b"]


async def test_wrong_credentials_name_the_response_but_never_the_password(
    open_client: Open, server: FakeServer
) -> None:
    client = await open_client()
    server.responses["/api/login"] = lambda _: error_response(401, "BAD_CREDENTIALS")
    with pytest.raises(BadCredentials) as raised:
        await result(client.sign_in("ada", "a long password"))
    assert raised.value.request == Request("POST", f"{API}/api/login")
    assert raised.value.response is not None
    assert raised.value.response.code == "BAD_CREDENTIALS"


async def test_a_response_with_tokens_is_in_no_error(open_client: Open, server: FakeServer) -> None:
    client = await open_client()
    server.responses["/api/login"] = lambda _: json_response(200, {"token": "secret"})
    with pytest.raises(UnexpiredError) as raised:
        await result(client.sign_in("ada", "pw"))
    assert raised.value.response is None


async def test_raise_for_status_names_request_and_response(
    open_client: Open, server: FakeServer
) -> None:
    client = await open_client()
    server.responses["/api/notes"] = lambda _: error_response(409, "TAKEN")
    response = await result(client.get("/api/notes"))
    with pytest.raises(BadReply) as raised:
        response.raise_for_status()
    assert (raised.value.response, raised.value.request) == (response, response.request)
    assert raised.value.request is not None


async def test_a_request_without_a_session_is_named(open_client: Open) -> None:
    client = await open_client()
    await result(client.sign_out())
    error = await failure(client)
    assert isinstance(error, NotSignedIn)
    assert (error.request and error.request.url, error.response) == (f"{API}/api/notes", None)


async def test_a_pickled_error_keeps_its_type_and_code_but_not_the_exchange(
    open_client: Open, server: FakeServer
) -> None:
    client = await open_client()
    server.responses["/api/notes"] = lambda _: error_response(401, "SESSION_REVOKED")
    error = await failure(client, headers={"x-mine": "a secret"})
    pickled = pickle.dumps(error)
    again = pickle.loads(pickled)  # noqa: S301 - our own
    assert (type(again), str(again), again.code) == (SessionEnded, str(error), "SESSION_REVOKED")
    assert (again.request, again.response) == (None, None)
    assert b"a secret" not in pickled
