"""The recorder and the simulated faults of the Activity view, without a browser."""

import asyncio
from contextlib import suppress
from typing import get_args

import jwt
import pytest

from unexpired import Headers, Request, Response, Unreachable
from views.activity.entries import Kind
from views.activity.faults import FaultyTransport
from views.activity.recorder import Recorder

REQUEST = Request("GET", "https://api.example/api/notes?q=private")
REFRESH = Request("POST", "https://api.example/api/refresh")
KINDS = get_args(Kind)
OLD, NEW = (jwt.encode({"sub": name}, "k" * 32) for name in ("old", "new"))


class Server:
    """A transport that returns or raises the given outcomes, in order."""

    def __init__(self, *outcomes: int | bytes | Exception) -> None:
        self.outcomes = list(outcomes)
        self.received: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.received.append(request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, bytes):
            return Response(403, Headers(), outcome)
        return Response(outcome, Headers(), b'{"code": "TOKEN_EXPIRED"}' if outcome == 401 else b"")


def with_token(token: str) -> Request:
    return REQUEST.with_header("authorization", f"Bearer {token}")


async def call(recorder: Recorder, *tokens: str) -> None:
    """Make one call of the page, which is sent with each of the tokens."""
    (begin,), (end,) = recorder.hooks["request"], recorder.hooks["response"]
    begin(REQUEST)
    for token in tokens:
        await recorder.send(with_token(token))
    end(REQUEST)


async def test_the_second_request_of_a_call_is_a_retry() -> None:
    """A refused call is repeated; the same request after that is another call."""
    recorder = Recorder(Server(401, 200, 200))
    await call(recorder, OLD, NEW)
    await call(recorder, NEW)
    assert [(entry.kind, entry.number) for entry in recorder.entries] == [
        ("request", 1),
        ("retry", 1),
        ("request", 2),
    ]


async def test_a_request_outside_of_a_call_belongs_to_none() -> None:
    """A sign-in, for one, is no call, and never a retry."""
    recorder = Recorder(Server(200, 401, 401))
    await call(recorder, OLD)
    for _ in range(2):
        await recorder.send(with_token(OLD))
    assert [(entry.kind, entry.number) for entry in recorder.entries][1:] == [("request", 0)] * 2


async def test_a_retry_heals_the_refused_request() -> None:
    """A refusal is failed until the retry succeeds; a second refusal heals nothing."""
    recorder = Recorder(Server(401, 200, 401, 401))
    await call(recorder, OLD, NEW)
    await call(recorder, OLD, NEW)
    assert [entry.state for entry in recorder.entries] == ["healed", "done", "failed", "failed"]


async def test_simultaneous_calls_are_kept_apart() -> None:
    """Each retry heals the request of its own call, and a refresh knows which call started it."""
    recorder = Recorder(Server(401, 401, 200, 200, 200))

    async def one_call() -> None:
        begin, end = recorder.hooks["request"][0], recorder.hooks["response"][0]
        begin(REQUEST)
        await recorder.send(with_token(OLD))
        is_first = len(recorder.entries) == 1
        await asyncio.sleep(0)
        if is_first:
            await asyncio.create_task(recorder.send(REFRESH))
        end(await recorder.send(with_token(NEW)))

    await asyncio.gather(one_call(), one_call())
    by_kind = {kind: [e.number for e in recorder.entries if e.kind == kind] for kind in KINDS}
    assert by_kind == {"request": [1, 2], "refresh": [1], "retry": [2, 1]}
    assert {entry.state for entry in recorder.entries} == {"healed", "done"}


@pytest.mark.parametrize(
    ("first", "state"), [(Unreachable(), "healed"), (401, "failed")], ids=["lost", "refused"]
)
async def test_new_tokens_heal_a_refresh_without_a_response(
    first: int | Exception, state: str
) -> None:
    """Another tab may have got them. A refused one is not healed: a thief's, for one."""
    recorder = Recorder(Server(first))
    with suppress(Unreachable):
        await recorder.send(REFRESH)
    recorder.heal_refreshes()
    assert [entry.state for entry in recorder.entries] == [state]


async def test_an_entry_contains_nothing_that_only_looks_like_a_code() -> None:
    """A server's text, and long parts of a path, may be secrets."""
    request = Request("GET", "https://api.example/api/reset/pr1-0123456789abcdef/now")
    recorder = Recorder(Server(b'{"code": "eyJhbGciOiJI"}'))
    await recorder.send(request)
    assert recorder.entries[0].call == "GET /api/reset/…/now"
    assert recorder.entries[0].outcome == "403"


async def test_an_entry_contains_the_outcome_but_not_the_query() -> None:
    """An entry has the method, the path, the status, the code and the duration."""
    ticks = iter((10.0, 10.5, 11.0, 13.0))
    recorder = Recorder(Server(401, Unreachable()), now=lambda: next(ticks))
    await recorder.send(with_token(OLD))
    with pytest.raises(Unreachable):
        await recorder.send(REQUEST)
    first, second = recorder.entries
    assert first.call == "GET /api/notes"
    assert (first.outcome, first.duration) == ("401 TOKEN_EXPIRED", 0.5)
    assert (second.outcome, second.duration, second.failed) == ("no response", 2.0, True)


async def test_claims_are_those_of_the_last_token_until_the_session_ends() -> None:
    """There are no claims before the first token, and none after the session."""
    recorder = Recorder(Server(200, 200))
    assert recorder.claims() == {}
    await recorder.send(with_token(OLD))
    await recorder.send(with_token(NEW))
    assert recorder.claims() == {"sub": "new"}
    recorder.end_session()
    assert recorder.claims() == {}


def test_a_new_token_ends_the_lifetime_of_the_last() -> None:
    """Lifetimes do not overlap: none starts before the last one has ended."""
    ticks = iter((100.0, 112.0, 112.0))
    recorder = Recorder(Server(), now=lambda: next(ticks))
    recorder.start_lifetime(lifetime=20, expires_in=20, refresh_in=15)
    recorder.start_lifetime(lifetime=20, expires_in=19, refresh_in=14)
    first, second = recorder.lifetimes
    assert (first.issued_at, first.refresh_at, first.expires_at, first.ended_at) == (
        *(100, 115, 120),
        112,
    )
    assert (first.end_reason(112), second.end_reason(112)) == ("renewed", None)
    assert (second.issued_at, second.expires_at, second.ended_at) == (112, 131, None)


@pytest.mark.parametrize(
    ("later", "reason", "ended_at"),
    [(5, "session ended", 105), (19.9, "expired", 119.9), (30, "expired", 120)],
)
def test_a_lifetime_ends_with_its_session_or_by_expiry(
    later: float, reason: str, ended_at: float
) -> None:
    """An early sign-out ends it; one at its expiry or later does not change the reason."""
    ticks = iter((100.0, 100 + later))
    recorder = Recorder(Server(), now=lambda: next(ticks))
    recorder.start_lifetime(lifetime=20, expires_in=20, refresh_in=None)
    recorder.end_session()
    (lifetime,) = recorder.lifetimes
    assert (lifetime.end_reason(200), lifetime.end_time(200)) == (reason, ended_at)


def test_a_lifetime_ends_by_expiry_on_its_own() -> None:
    """It is valid until its expiry, and has expired from then on."""
    recorder = Recorder(Server(), now=lambda: 100.0)
    recorder.start_lifetime(lifetime=20, expires_in=20, refresh_in=15)
    (lifetime,) = recorder.lifetimes
    assert (lifetime.end_reason(119), lifetime.end_time(119)) == (None, None)
    assert (lifetime.end_reason(120), lifetime.end_time(120)) == ("expired", 120)


async def test_a_damaged_token_differs_only_in_its_signature() -> None:
    """One character changes while the fault is on; a request without a token stays unchanged."""
    server = Server(200, 200, 200)
    network = FaultyTransport(server)
    network.damages_tokens = True
    await network.send(with_token(OLD))
    await network.send(REQUEST)
    network.repair()
    await network.send(with_token(OLD))
    damaged, none, intact = (request.headers.get("authorization") for request in server.received)
    assert (none, intact) == (None, f"Bearer {OLD}")
    assert damaged is not None
    assert damaged.rpartition(".")[0] == f"Bearer {OLD}".rpartition(".")[0]
    assert sum(a != b for a, b in zip(damaged, f"Bearer {OLD}", strict=True)) == 1


async def test_an_expired_token_stays_expired_and_the_next_is_valid() -> None:
    """Requests with that token are refused without the server; another token passes."""
    server = Server(200)
    network = FaultyTransport(server)
    network.expires_next_token = True
    codes = [(await network.send(with_token(token))).code for token in (OLD, OLD, NEW)]
    assert codes == ["TOKEN_EXPIRED", "TOKEN_EXPIRED", None]
    assert len(server.received) == 1


async def test_the_tokens_of_a_refresh_are_lost_once() -> None:
    """The server has sent them; other responses, and the next refresh, arrive."""
    server = Server(200, 401, 200, 200)
    network = FaultyTransport(server)
    network.loses_next_tokens = True
    assert (await network.send(REQUEST)).status_code == 200
    assert (await network.send(REFRESH)).status_code == 401
    with pytest.raises(Unreachable):
        await network.send(REFRESH)
    assert (await network.send(REFRESH)).status_code == 200
    assert len(server.received) == 4


async def test_a_repaired_network_has_no_fault() -> None:
    """Otherwise nobody could sign in again."""
    network = FaultyTransport(Server(200))
    network.is_offline = network.damages_tokens = network.loses_next_tokens = True
    network.delay = 60
    network.repair()
    async with asyncio.timeout(1):
        assert (await network.send(REFRESH)).status_code == 200
