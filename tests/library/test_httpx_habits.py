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
    server.responses["/api/login"] = lambda _: json_response(200, {"access_token": "secret"})
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


# -- Default headers ---------------------------------------------------------------------------


async def test_default_headers_go_with_each_request_and_its_own_win(
    open_client: Open, server: FakeServer
) -> None:
    client = await open_client(headers={"X-App": "shop", "Accept": "text/csv"})
    response = await result(client.get("/api/notes", headers={"accept": "text/html"}))
    sent = server.received[0].headers
    assert (sent["x-app"], sent["accept"]) == ("shop", "text/html")
    assert response.request.headers["x-app"] == "shop"


async def test_default_headers_go_with_requests_for_tokens_whose_own_win(
    open_client: Open, server: FakeServer
) -> None:
    client = await open_client(headers={"X-App": "shop", "Accept": "text/csv"})
    await result(client.refresh())
    await result(client.sign_out())
    assert [(one.headers["x-app"], one.headers["accept"]) for one in server.received] == [
        ("shop", "application/json")
    ] * 2


async def test_default_headers_never_go_to_another_origin(
    open_client: Open, server: FakeServer
) -> None:
    client = await open_client(headers={"X-Api-Key": "secret"})
    await result(client.get("https://elsewhere.example/x"))
    assert "x-api-key" not in server.received[0].headers


# -- Event hooks -------------------------------------------------------------------------------


async def test_hooks_are_called_once_for_a_call_however_often_it_is_sent(
    open_client: Open, server: FakeServer
) -> None:
    seen: list[Any] = []
    client = await open_client(event_hooks={"request": [seen.append], "response": [seen.append]})
    answers = [error_response(401, "TOKEN_EXPIRED"), json_response(200, {"a": 1})]
    server.responses["/api/notes"] = lambda _: answers.pop(0)
    response = await result(client.get("/api/notes"))
    assert len(server.received) == 3
    request, hooked = seen
    assert (request.url, "authorization" in request.headers) == (f"{API}/api/notes", False)
    assert hooked is response
    assert response.request is request


@pytest.mark.parametrize("event", ["request", "response"])
async def test_an_exception_in_a_hook_is_the_callers(
    open_client: Open, server: FakeServer, event: str
) -> None:
    def refuse(_: object) -> None:
        raise LookupError(event)

    client = await open_client(event_hooks={event: [refuse]})
    with pytest.raises(LookupError, match=event):
        await result(client.get("/api/notes"))
    assert len(server.received) == (event == "response")


async def test_a_coroutine_function_is_awaited_as_a_hook() -> None:
    server, seen = AsyncFakeServer(FakeClock()), list[Any]()

    async def hook(message: Any) -> None:
        await asyncio.sleep(0)
        seen.append(message)

    hooks: Any = {"request": [hook], "response": [hook]}
    client = AsyncClient(server, clock=server.clock, base_url=API, event_hooks=hooks)
    await client.sign_in("ada", "pw")
    assert seen == []  # Requests for tokens are the client's own.
    response = await client.get("/api/notes")
    assert seen == [response.request, response]


# -- A client as a context ---------------------------------------------------------------------


async def test_an_async_client_maintains_the_session_within_its_context() -> None:
    server = AsyncFakeServer(FakeClock())
    before = asyncio.all_tasks()
    async with AsyncClient(server, clock=server.clock, base_url=API) as client:
        await client.sign_in("ada", "pw")
        assert len(asyncio.all_tasks() - before) == 1
    assert asyncio.all_tasks() == before
    assert (await client.get("/api/notes")).status_code == 200  # It is signed in as before.


async def test_an_async_client_is_closed_any_number_of_times_and_opened_again() -> None:
    server = AsyncFakeServer(FakeClock())
    before = asyncio.all_tasks()
    client, closed = AsyncClient(server, clock=server.clock, base_url=API), list[int]()
    client.on_close(lambda: closed.append(1))
    await client.aclose()
    async with client:
        client.close()
    await client.aclose()
    assert closed == [1]
    async with client:
        assert len(asyncio.all_tasks() - before) == 1
    assert asyncio.all_tasks() == before


async def test_a_context_closes_an_async_client_whatever_its_block_raises() -> None:
    server = AsyncFakeServer(FakeClock())
    before = asyncio.all_tasks()
    with pytest.raises(LookupError):
        async with AsyncClient(server, clock=server.clock, base_url=API):
            raise LookupError
    assert asyncio.all_tasks() == before


def test_a_client_is_a_context_that_can_be_closed_any_number_of_times() -> None:
    server = SyncFakeServer(FakeClock())
    with Client(server, clock=server.clock, base_url=API) as client:
        client.sign_in("ada", "pw")
    client.close()
    assert client.get("/api/notes").status_code == 200
