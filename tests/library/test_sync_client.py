"""Client on a transport in memory: the rules of AsyncClient, for blocking code and threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.library.conftest import session_of
from tests.support.clock import FakeClock
from tests.support.fake_server import API, SyncFakeServer, error_response, json_response
from unexpired import (
    AsyncClient,
    BadCredentials,
    Client,
    MemoryStore,
    NotSignedIn,
    ReplayImpossible,
    Request,
    Response,
    SessionEnded,
    SessionExpired,
    UnexpiredError,
    Unreachable,
)
from unexpired.ports import ThreadLock

EVENTS = ("signed_in", "refreshed", "expired", "signed_out", "degraded", "recovered")


@dataclass
class FakeNavigator:
    """Records where the person is sent."""

    redirects: list[str] = field(default_factory=list)

    def here(self) -> str:
        return "/notes"

    def go(self, url: str) -> None:
        self.redirects.append(url)


class CountedLock(ThreadLock):
    """Counts the attempts to hold it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self._count = threading.Condition()

    @contextmanager
    def hold(self, timeout: float) -> Iterator[None]:
        with self._count:
            self.asked += 1
            self._count.notify_all()
        with super().hold(timeout):
            yield

    def wait_until_asked(self, times: int) -> None:
        with self._count:
            assert self._count.wait_for(lambda: self.asked >= times, timeout=10)


@dataclass
class Program:
    """A program: a client and its ports."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    lock: CountedLock = field(default_factory=CountedLock)
    navigator: FakeNavigator = field(default_factory=FakeNavigator)
    events: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = SyncFakeServer(self.clock)
        self.client = self.open()

    def open(self, **options: Any) -> Client:
        """Open another client on the same store."""
        ports: dict[str, Any] = {"lock": self.lock, "base_url": API}
        client = Client(
            self.server,
            store=self.store,
            navigator=self.navigator,
            clock=self.clock,
            **{**ports, **options},
        )
        for name in EVENTS:
            client.on(name, lambda *details, name=name: self.events.append((name, *details)))  # type: ignore[arg-type]
        return client

    def outcomes(self, calls: int, client: Client | None = None) -> list[Any]:
        """Return the status or the error's type for one request in each of so many threads."""

        def call(_n: int) -> object:
            try:
                return (client or self.client).get("/api/notes").status_code
            except UnexpiredError as problem:
                return type(problem)

        with ThreadPoolExecutor(calls) as threads:
            return list(threads.map(call, range(calls)))


@pytest.fixture
def program() -> Program:
    program = Program()
    program.client.sign_in("ada", "pw")
    program.server.received.clear()
    return program


def test_a_valid_token_needs_one_request(program: Program) -> None:
    """One request is sent, with the token."""
    assert program.client.get("/api/notes").json() == {"ok": True}
    assert len(program.server.received) == 1


def test_an_expired_token_is_renewed_behind_the_callers_back(program: Program) -> None:
    """A token that expired by the clock is refreshed before the request."""
    program.clock.advance(901)
    assert program.client.get("/api/notes").status_code == 200
    assert [request.url.removeprefix(API) for request in program.server.received] == [
        "/api/refresh",
        "/api/notes",
    ]


def test_a_token_that_expired_by_the_servers_clock_is_refreshed(program: Program) -> None:
    """A 401 leads to one refresh and one more attempt."""
    program.server.generation += 1
    assert program.client.get("/api/notes").status_code == 200
    assert (program.server.count("/api/notes"), program.server.count("/api/refresh")) == (2, 1)


def test_a_server_that_always_says_expired_gets_two_requests_and_one_refresh(
    program: Program,
) -> None:
    """The second 401 is handed back."""
    program.server.responses["/api/notes"] = lambda _: error_response(401, "TOKEN_EXPIRED")
    assert program.client.get("/api/notes").status_code == 401
    assert (program.server.count("/api/notes"), program.server.count("/api/refresh")) == (2, 1)


def test_a_hundred_threads_share_one_refresh(program: Program) -> None:
    """One thread refreshes; the others use its token."""
    program.clock.advance(901)

    def once_all_wait(request: Request) -> Response:
        program.lock.wait_until_asked(100)
        return program.server.issue(request)

    program.server.responses["/api/refresh"] = once_all_wait
    assert program.outcomes(100) == [200] * 100
    assert program.server.count("/api/refresh") == 1
    assert [name for name, *_ in program.events] == ["signed_in", "refreshed"]


@pytest.mark.parametrize(
    ("response", "kind"),
    [(Response(503), Unreachable), (error_response(401, "REFRESH_REUSED"), SessionExpired)],
)
def test_threads_that_wait_for_one_attempt_share_its_result(
    program: Program, response: Response, kind: type[UnexpiredError]
) -> None:
    """A failed attempt is not repeated by each thread that waited for it."""
    client = program.open(max_backoff=0)
    program.clock.advance(901)

    def once_all_wait(_request: Request) -> Response:
        program.lock.wait_until_asked(20)
        return response

    program.server.responses["/api/refresh"] = once_all_wait
    assert program.outcomes(20, client) == [kind] * 20
    assert program.server.count("/api/refresh") == 1


def test_an_ended_session_makes_one_event_and_one_redirect_for_all_threads(
    program: Program,
) -> None:
    """A refused refresh ends the session once."""
    program.clock.advance(901)
    program.server.responses["/api/refresh"] = lambda _: error_response(401, "REFRESH_EXPIRED")
    assert program.outcomes(20) == [SessionExpired] * 20
    assert program.events == [("signed_in",), ("expired", "REFRESH_EXPIRED")]
    assert program.navigator.redirects == ["/login?next=%2Fnotes&reason=expired"]
    assert program.store.load() is None


def test_a_revoked_session_ends(program: Program) -> None:
    """The server's word ends it, without a refresh."""
    program.server.responses["/api/notes"] = lambda _: error_response(401, "SESSION_REVOKED")
    with pytest.raises(SessionEnded):
        program.client.get("/api/notes")
    assert program.client.state == "expired"
    assert program.server.count("/api/refresh") == 0


def test_a_request_without_a_session_sends_nothing_and_redirects() -> None:
    """Without a session there is nothing to send."""
    program = Program()
    with pytest.raises(NotSignedIn):
        program.client.get("/api/notes")
    assert program.server.received == []
    assert program.navigator.redirects == ["/login?next=%2Fnotes"]


def test_an_outage_is_waited_out(program: Program) -> None:
    """A failed refresh is tried again after the back-off; the caller only gets the response."""
    program.clock.advance(901)
    responses = iter([Response(503), Response(502)])
    server = program.server
    server.responses["/api/refresh"] = lambda request: (
        next(responses, None) or server.issue(request)
    )
    assert program.client.get("/api/notes").status_code == 200
    assert program.clock.ticks > 901
    assert [name for name, *_ in program.events] == [
        *("signed_in", "degraded"),
        *("refreshed", "recovered"),
    ]


def test_a_long_outage_fails_the_request_and_keeps_the_session(program: Program) -> None:
    """``refresh_timeout`` limits the wait; the tokens are kept."""
    program.clock.advance(901)
    program.server.responses["/api/refresh"] = lambda _: Response(503)
    with pytest.raises(Unreachable):
        program.client.get("/api/notes")
    assert program.clock.ticks <= 901 + 10
    assert program.client.state == "degraded"
    assert program.store.load() is not None


def test_with_max_backoff_0_nothing_sleeps(program: Program) -> None:
    """In a page, which would freeze, the error carries the wait instead."""
    client = program.open(max_backoff=0)
    program.clock.advance(901)
    program.server.responses["/api/refresh"] = lambda _: Response(503)
    with pytest.raises(Unreachable) as caught:
        client.get("/api/notes")
    assert caught.value.retry_after
    assert program.clock.ticks == 901


def test_a_request_takes_no_longer_than_its_timeout(program: Program) -> None:
    """Each attempt gets the rest of the timeout; after it nothing more is sent."""

    def slow(_request: Request) -> Response:
        program.clock.advance(6)
        return error_response(401, "TOKEN_EXPIRED")

    program.server.responses["/api/notes"] = slow
    with pytest.raises(Unreachable, match="too long"):
        program.client.get("/api/notes", timeout=5)
    assert program.server.timeouts[-1] == 5
    assert len(program.server.received) == 1


def test_the_second_attempt_has_the_rest_of_the_timeout(program: Program) -> None:
    """The timeout is for the whole request, not for each attempt."""

    def slow(request: Request) -> Response:
        program.clock.advance(6)
        return program.server.check(request)

    program.server.responses["/api/notes"] = slow
    program.client.get("/api/notes", timeout=8)
    assert program.server.timeouts[-3:] == [8, 60, 2]  # The refresh has its own timeout.


def test_without_a_timeout_none_is_passed_on(program: Program) -> None:
    """None means no limit."""
    program.client.get("/api/notes", timeout=None)
    assert program.server.timeouts[-1] is None


def test_waiting_for_a_busy_lock_counts_towards_the_timeout(program: Program) -> None:
    """A hanging refresh elsewhere does not prolong a request, and the next goes on without it."""
    waits: list[float] = []

    class Busy:
        def hold(self, timeout: float) -> AbstractContextManager[None]:
            waits.append(timeout)
            program.clock.advance(timeout)
            raise Unreachable

    client = program.open(lock=Busy())
    program.clock.advance(901)
    with pytest.raises(Unreachable):
        client.get("/api/notes", timeout=3)
    assert waits == [3]
    assert client.get("/api/notes").status_code == 200
    program.clock.advance(901)
    assert client.get("/api/notes").status_code == 200
    assert waits == [3, 5]


def test_a_network_failure_is_raised_and_keeps_the_session(program: Program) -> None:
    """The transport's Unreachable reaches the caller; the session is kept."""

    def cut(_request: Request) -> Response:
        raise Unreachable

    program.server.responses["/api/notes"] = cut
    with pytest.raises(Unreachable):
        program.client.get("/api/notes")
    assert program.client.state == "active"


def test_another_exception_of_a_transport_keeps_the_session(program: Program) -> None:
    """It propagates, and no refresh counts as running afterwards."""

    def broken(_request: Request) -> Response:
        raise RuntimeError

    program.server.responses["/api/refresh"] = broken
    with pytest.raises(RuntimeError):
        program.client.refresh()
    assert program.client.state == "active"
    del program.server.responses["/api/refresh"]
    program.client.refresh()


def test_a_stored_session_is_continued(program: Program) -> None:
    """The next start of a program continues the session."""
    again = program.open()
    assert (again.state, again.user) == ("active", {"id": 1, "username": "ada"})
    assert again.get("/api/notes").status_code == 200


def test_the_token_of_another_client_is_used(program: Program) -> None:
    """Two clients of one store refresh once."""
    other = program.open()
    program.clock.advance(901)
    program.client.get("/api/notes")
    assert other.get("/api/notes").status_code == 200
    assert program.server.count("/api/refresh") == 1


def test_ready_notices_a_sign_out_elsewhere(program: Program) -> None:
    """``ready`` adopts what happened to the store."""
    program.store.clear()
    assert program.client.ready().state == "anonymous"
    assert program.events[-1] == ("signed_out", "elsewhere")


def test_a_sign_out_during_a_request_ends_it(program: Program) -> None:
    """A response for an ended session is dropped."""

    def meanwhile(_request: Request) -> Response:
        program.client.sign_out()
        return json_response(200, {"ok": True})

    program.server.responses["/api/notes"] = meanwhile
    with pytest.raises(SessionEnded):
        program.client.get("/api/notes")
    assert program.server.count("/api/logout") == 1
    program.client.close()


def test_wrong_credentials_are_raised() -> None:
    """Sign-in raises the errors of AsyncClient's."""
    program = Program()
    program.server.responses["/api/login"] = lambda _: error_response(401, "BAD_CREDENTIALS")
    with pytest.raises(BadCredentials):
        program.client.sign_in("ada", "wrong")


def test_a_refused_refresh_is_reported_and_not_retried(program: Program) -> None:
    """The access token stays good until its end; the server is asked once."""
    program.server.responses["/api/refresh"] = lambda _: error_response(401, "REFRESH_EXPIRED")
    for _ in range(2):
        with pytest.raises(SessionExpired):
            program.client.refresh()
    assert program.server.count("/api/refresh") == 1
    assert program.client.get("/api/notes").status_code == 200


def test_a_refresh_without_a_session_is_refused() -> None:
    """There is nothing to refresh."""
    with pytest.raises(NotSignedIn):
        Program().client.refresh()


def test_all_attempts_of_a_post_have_one_idempotency_key(program: Program) -> None:
    """The second attempt of one POST repeats the key and the body; another POST has another."""
    program.server.generation += 1
    assert program.client.post("/api/notes", json={"text": "a"}).status_code == 200
    program.client.post("/api/notes", json={"text": "a"})
    first, _, second, other = program.server.received
    keys = [request.headers["idempotency-key"] for request in (first, second, other)]
    assert keys[0] == keys[1] != keys[2]
    assert first.body == second.body == b'{"text": "a"}'


def test_a_spent_stream_is_never_sent_again(program: Program) -> None:
    """A one-shot body is not sent empty."""
    program.server.generation += 1
    with pytest.raises(ReplayImpossible):
        program.client.post("/api/notes", content=iter([b"a"]))
    assert program.server.count("/api/notes") == 1


def test_every_request_method_sends_its_method(program: Program) -> None:
    """The methods are those of AsyncClient."""
    client = program.client
    for method in (client.get, client.head, client.options, client.put, client.patch):
        method("/api/notes")
    client.delete("/api/notes")
    methods = [request.method for request in program.server.received]
    assert methods == ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"]


def test_no_repr_contains_a_part_of_a_token(program: Program) -> None:
    """Neither a repr nor ``diagnose()``."""
    record = session_of(program.client).record
    assert record is not None
    steps = program.client.exchange(Request("GET", f"{API}/api/notes"))
    send = next(steps)
    steps.close()
    shown = f"{program.client.diagnose()} {program.client!r} {send!r} {steps!r}"
    assert "CountedLock" in shown
    for part in (*record.tokens.access_token.split("."), str(record.tokens.refresh_token)):
        assert part not in shown


def test_an_async_listener_runs_without_an_event_loop(program: Program) -> None:
    """A program without an event loop may still await in a listener."""
    events: list[str] = []

    async def listener() -> None:
        events.append(program.client.state)

    program.client.on("refreshed", listener)
    program.client.refresh()
    assert events == ["active"]


def test_a_listener_may_make_a_request(program: Program) -> None:
    """A listener that makes a request of its own gets its response."""
    responses: list[int] = []
    program.client.on(
        "refreshed", lambda: responses.append(program.client.get("/api/me").status_code)
    )
    program.clock.advance(901)
    assert program.client.get("/api/notes").status_code == 200
    assert responses == [200]


@dataclass
class Awaited:
    """The same server, for a client that awaits."""

    server: SyncFakeServer

    async def send(self, request: Request) -> Response:
        return self.server.send(request, None)


def sharing_client(program: Program, page: AsyncClient) -> Client:
    return Client(program.server, session_of=page)


async def test_a_page_and_its_sync_code_are_one_session() -> None:
    """Sign-in, store, generation and events are the page's; a refresh by either serves both."""
    program = Program()
    page = AsyncClient(
        Awaited(program.server), store=program.store, clock=program.clock, base_url=API
    )
    events: list[str] = []
    for name in ("signed_in", "refreshed"):
        page.on(name, lambda name=name: events.append(name))
    await page.sign_in("ada", "pw")
    client = sharing_client(program, page)
    program.clock.advance(901)
    assert client.get("/api/notes").status_code == 200
    assert (await page.get("/api/notes")).status_code == 200
    assert program.server.count("/api/refresh") == 1
    assert events == ["signed_in", "refreshed"]
    assert client.diagnose()["generation"] == page.diagnose()["generation"] == 2
    await page.sign_out()
    with pytest.raises(NotSignedIn):
        client.get("/api/notes")


@pytest.mark.parametrize("own", [{"base_url": API}, {"store": MemoryStore()}])
async def test_a_shared_session_brings_its_own_ports(own: dict[str, Any]) -> None:
    """Arguments that would be ignored are refused."""
    program = Program()
    page = AsyncClient(Awaited(program.server))
    with pytest.raises(ValueError, match="a shared session"):
        Client(program.server, session_of=page, **own)


def test_a_lock_that_is_never_free_times_out() -> None:
    """The timeout raises Unreachable."""
    lock = ThreadLock()
    with lock.hold(1), pytest.raises(Unreachable), lock.hold(0.01):
        pytest.fail("two hold it")
