"""The messages between a page and its workers, with a transport in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.fake_server import API, AsyncFakeServer, error_response
from unexpired import (
    AsyncClient,
    BadCredentials,
    BadReply,
    Headers,
    NotSignedIn,
    RateLimited,
    ReplayImpossible,
    Request,
    Response,
    SecondStepRequired,
    SessionEnded,
    SessionExpired,
    SignInFailed,
    Unreachable,
)
from unexpired.errors import UnexpiredError
from unexpired.worker_messages import perform, response_from, worker_request

Fails = Callable[[Exception], None]


@pytest.fixture
def server() -> AsyncFakeServer:
    return AsyncFakeServer(FakeClock())


@pytest.fixture
async def client(server: AsyncFakeServer) -> AsyncClient:
    client = AsyncClient(server, clock=server.clock, base_url=API)
    await client.sign_in("ada", "correct horse")
    server.received.clear()
    return client


async def test_a_call_arrives_as_it_was_made_and_its_response_comes_back(
    server: AsyncFakeServer, client: AsyncClient
) -> None:
    """Method, parameters, headers and body go one way; status, headers and bytes the other."""
    server.responses["/api/notes?a=b"] = lambda _: Response(418, {"x": "y"}, b"\xff", f"{API}/tea")  # type: ignore[arg-type]
    message = worker_request(
        "post", "/api/notes", {"params": {"a": "b"}, "json": {"text": "hi"}, "headers": {"X": "1"}}
    )
    response = response_from(await perform(message, client), message)
    assert response.request == Request(
        "POST", "/api/notes?a=b", Headers(message["headers"]), message["body"]
    )
    assert (response.status_code, response.content, response.url) == (418, b"\xff", f"{API}/tea")
    (sent,) = server.received
    assert (sent.method, sent.url, sent.body) == ("POST", f"{API}/api/notes?a=b", b'{"text": "hi"}')
    assert (sent.headers["x"], sent.headers["content-type"]) == ("1", "application/json")
    assert "idempotency-key" in sent.headers


async def test_a_view_of_memory_is_as_good_as_bytes(
    server: AsyncFakeServer, client: AsyncClient
) -> None:
    """Bytes arrive as a view of memory that belongs to the other side."""
    message: Any = {**worker_request("POST", "/x", {"content": b"abc"}), "body": memoryview(b"abc")}
    result: Any = await perform(message, client)
    assert server.received[0].body == b"abc"
    crossed: Any = {**result, "content": memoryview(b"def")}
    response = response_from(crossed, message)
    assert response.content == b"def"
    assert isinstance(response.content, bytes)


async def test_nothing_that_crosses_holds_a_part_of_a_token(
    server: AsyncFakeServer, client: AsyncClient
) -> None:
    """The page adds the token after it has received the message."""
    message = worker_request("GET", "/api/notes", {})
    result = await perform(message, client)
    token = server.received[0].headers["authorization"].removeprefix("Bearer ")
    assert not any(part in f"{message}{result}" for part in token.split("."))


@pytest.fixture
def fails(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Make every request of the client raise this error."""

    def fail_with(error: Exception) -> None:
        async def request(*_: object, **__: object) -> Response:
            raise error

        monkeypatch.setattr(client, "request", request)

    return fail_with


@pytest.mark.parametrize("seconds", [0.01, None])
async def test_a_timeout_is_passed_on_and_the_clients_own_is_the_default(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch, seconds: float | None
) -> None:
    """A timeout, no limit, and no option are three different things."""
    seen: list[dict[str, Any]] = []

    async def request(_method: str, _url: str, **options: Any) -> Response:
        seen.append(options)
        return Response(204)

    monkeypatch.setattr(client, "request", request)
    await perform(worker_request("GET", "/x", {"timeout": seconds}), client)
    await perform(worker_request("GET", "/x", {}), client)
    assert [options.get("timeout", "the client's") for options in seen] == [seconds, "the client's"]


@pytest.mark.parametrize("auth", [True, False, "optional"])
async def test_whether_a_request_carries_the_token_is_passed_on(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch, auth: Any
) -> None:
    """The page's client decides, as the worker's code asks."""
    seen: list[Any] = []

    async def request(_method: str, _url: str, **options: Any) -> Response:
        seen.append(options.get("auth", "default"))
        return Response(204)

    monkeypatch.setattr(client, "request", request)
    await perform(worker_request("GET", "/x", {"auth": auth}), client)
    await perform(worker_request("GET", "/x", {}), client)
    assert seen == [auth, "default"]


@pytest.mark.parametrize("name", ["upload_progress", "download_progress"])
def test_a_callback_is_refused_by_its_name(name: str) -> None:
    """A function cannot cross to the page."""
    options: Any = {name: print}
    with pytest.raises(TypeError, match=name):
        worker_request("GET", "/x", options)


ERRORS: list[UnexpiredError] = [
    NotSignedIn(), SessionExpired("REFRESH_EXPIRED"), SessionEnded("SESSION_REVOKED"),
    BadCredentials(), RateLimited(2.5), Unreachable("Not now.", retry_after=3),
    SecondStepRequired({"mfaToken": "m"}, code="MFA"),
    ReplayImpossible(), BadReply("Odd.", status_code=500, code="ODD"), SignInFailed("BAD_ANSWER"),
]  # fmt: skip


@pytest.mark.parametrize("raised", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_error_is_raised_again_in_the_worker(
    client: AsyncClient, fails: Fails, raised: UnexpiredError
) -> None:
    """Each error of the library keeps its type, message and attributes."""
    fails(raised)
    message = worker_request("GET", "/x", {})
    result = await perform(message, client)
    with pytest.raises(UnexpiredError) as info:
        response_from(result, message)
    assert type(info.value) is type(raised)
    named = {"request": Request("GET", "/x")}
    assert (str(info.value), vars(info.value)) == (str(raised), {**vars(raised), **named})


def test_every_error_is_among_the_examples() -> None:
    """A new error type must be passed on as well."""
    assert {type(error) for error in ERRORS} == set(UnexpiredError.__subclasses__())


async def test_a_value_error_is_raised_in_the_worker(client: AsyncClient, fails: Fails) -> None:
    """A request that cannot be sent raises where it was made."""
    fails(ValueError("no such URL"))
    message = worker_request("GET", "/x", {})
    result = await perform(message, client)
    with pytest.raises(ValueError, match="no such URL"):
        response_from(result, message)


async def test_an_unexpected_exception_in_the_page_reveals_nothing(
    client: AsyncClient, fails: Fails, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker gets a result; only the type is logged, because the text may quote a token."""
    fails(KeyError("Bearer secret"))
    message = worker_request("GET", "/x", {})
    result = await perform(message, client)
    with pytest.raises(RuntimeError, match="the page could not make the request"):
        response_from(result, message)
    assert "KeyError" in caplog.text
    assert "secret" not in f"{caplog.text}{result}"


async def test_an_expired_token_is_renewed_on_the_pages_side(
    server: AsyncFakeServer, client: AsyncClient
) -> None:
    """The worker's side sees the 200 of the second attempt."""
    answers = [error_response(401, "TOKEN_EXPIRED"), Response(200)]
    server.responses["/x"] = lambda _: answers.pop(0)
    message = worker_request("GET", "/x", {})
    assert response_from(await perform(message, client), message).status_code == 200
    assert server.count("/api/refresh") == 1
