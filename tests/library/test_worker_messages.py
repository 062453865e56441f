"""What crosses between a page and its workers, with the page's client on a transport in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.fake_server import API, AsyncFakeServer, error
from unexpired import (
    AsyncClient,
    BadCredentials,
    BadReply,
    NotSignedIn,
    RateLimited,
    ReplayImpossible,
    Response,
    SessionEnded,
    SessionExpired,
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
    call = worker_request(
        "post", "/api/notes", {"params": {"a": "b"}, "json": {"text": "hi"}, "headers": {"X": "1"}}
    )
    response = response_from(await perform(call, client))
    assert (response.status_code, response.content, response.url) == (418, b"\xff", f"{API}/tea")
    (sent,) = server.received
    assert (sent.method, sent.url, sent.body) == ("POST", f"{API}/api/notes?a=b", b'{"text": "hi"}')
    assert (sent.headers["x"], sent.headers["content-type"]) == ("1", "application/json")
    assert "idempotency-key" in sent.headers


async def test_a_view_of_memory_is_as_good_as_bytes(
    server: AsyncFakeServer, client: AsyncClient
) -> None:
    """Bytes reach the other side as a view of memory that is not theirs to keep."""
    call: Any = {**worker_request("POST", "/x", {"content": b"abc"}), "body": memoryview(b"abc")}
    answer: Any = await perform(call, client)
    assert server.received[0].body == b"abc"
    crossed: Any = {**answer, "content": memoryview(b"def")}
    response = response_from(crossed)
    assert response.content == b"def"
    assert isinstance(response.content, bytes)


async def test_nothing_that_crosses_holds_a_part_of_a_token(
    server: AsyncFakeServer, client: AsyncClient
) -> None:
    """The token is added on the page's side, after the call has crossed."""
    call = worker_request("GET", "/api/notes", {})
    answer = await perform(call, client)
    token = server.received[0].headers["authorization"].removeprefix("Bearer ")
    assert not any(part in f"{call}{answer}" for part in token.split("."))


@pytest.fixture
def fails(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Have every call of the client raise this."""

    def fail_with(error: Exception) -> None:
        async def request(*_: object, **__: object) -> Response:
            raise error

        monkeypatch.setattr(client, "request", request)

    return fail_with


@pytest.mark.parametrize("seconds", [0.01, None])
async def test_a_timeout_crosses_and_the_clients_own_holds_without_one(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch, seconds: float | None
) -> None:
    """A bound, the wish for none, and no wish at all are three things."""
    seen: list[dict[str, Any]] = []

    async def request(_method: str, _url: str, **options: Any) -> Response:
        seen.append(options)
        return Response(204)

    monkeypatch.setattr(client, "request", request)
    await perform(worker_request("GET", "/x", {"timeout": seconds}), client)
    await perform(worker_request("GET", "/x", {}), client)
    assert [options.get("timeout", "the client's") for options in seen] == [seconds, "the client's"]


ERRORS: list[UnexpiredError] = [
    NotSignedIn(), SessionExpired("REFRESH_EXPIRED"), SessionEnded("SESSION_REVOKED"),
    BadCredentials(), RateLimited(2.5), Unreachable("Not now.", retry_after=3),
    ReplayImpossible(), BadReply("Odd.", status_code=500, code="ODD"),
]  # fmt: skip


@pytest.mark.parametrize("raised", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_error_is_raised_again_as_what_it_was(
    client: AsyncClient, fails: Fails, raised: UnexpiredError
) -> None:
    """Type, sentence and attributes of each error of the library survive the crossing."""
    fails(raised)
    answer = await perform(worker_request("GET", "/x", {}), client)
    with pytest.raises(UnexpiredError) as info:
        response_from(answer)
    assert type(info.value) is type(raised)
    assert (str(info.value), vars(info.value)) == (str(raised), vars(raised))


def test_every_error_is_among_the_examples() -> None:
    """A new kind of error must cross, too."""
    assert {type(error) for error in ERRORS} == set(UnexpiredError.__subclasses__())


async def test_a_callers_mistake_is_theirs_to_hear_of(client: AsyncClient, fails: Fails) -> None:
    """What cannot be sent is a ValueError on the side that asked for it."""
    fails(ValueError("no such URL"))
    answer = await perform(worker_request("GET", "/x", {}), client)
    with pytest.raises(ValueError, match="no such URL"):
        response_from(answer)


async def test_a_fault_of_the_page_is_answered_too_and_tells_nothing(
    client: AsyncClient, fails: Fails, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for ever; what the fault says may quote a token, so only its kind is logged."""
    fails(KeyError("Bearer secret"))
    answer = await perform(worker_request("GET", "/x", {}), client)
    with pytest.raises(RuntimeError, match="the page could not make the request"):
        response_from(answer)
    assert "KeyError" in caplog.text
    assert "secret" not in f"{caplog.text}{answer}"


async def test_an_expired_token_is_renewed_on_the_pages_side(
    server: AsyncFakeServer, client: AsyncClient
) -> None:
    """The worker's side sees the 200 of the second attempt."""
    answers = [error(401, "TOKEN_EXPIRED"), Response(200)]
    server.responses["/x"] = lambda _: answers.pop(0)
    assert response_from(await perform(worker_request("GET", "/x", {}), client)).status_code == 200
    assert server.count("/api/refresh") == 1
