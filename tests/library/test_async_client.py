"""AsyncClient on a transport in memory: one refresh for all requests, which block no other."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.library.conftest import session_of
from tests.support.clock import FakeClock
from tests.support.fake_server import API, AsyncFakeServer, error_response
from unexpired import (
    AsyncClient,
    MemoryStore,
    NotSignedIn,
    Request,
    Response,
    SessionEnded,
    SessionExpired,
    Unreachable,
)
from unexpired.backoff import MAX_DELAY
from unexpired.effects import Refresh
from unexpired.ports import LocalLock


@dataclass
class FakeNavigator:
    at: str = "/notes?page=2#top"
    redirects: list[str] = field(default_factory=list)

    def here(self) -> str:
        return self.at

    def go(self, url: str) -> None:
        self.redirects.append(url)


@dataclass
class Page:
    """A page: a client and its ports."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    navigator: FakeNavigator = field(default_factory=FakeNavigator)
    events: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = AsyncFakeServer(self.clock)
        self.client = self.open()

    def open(self, **options: Any) -> AsyncClient:
        """Open another page on the same store."""
        client = AsyncClient(
            self.server,
            store=self.store,
            navigator=self.navigator,
            clock=self.clock,
            **{"base_url": API, **options},
        )
        for name in ("signed_in", "refreshed", "expired", "signed_out", "degraded", "recovered"):
            client.on(name, lambda *details, name=name: self.events.append((name, *details)))
        return client

    def names(self) -> list[str]:
        return [name for name, *_ in self.events]


@pytest.fixture
async def tab() -> Page:
    tab = Page()
    await tab.client.sign_in("ada", "pw")
    tab.server.received.clear()
    return tab


async def test_an_expired_token_is_renewed_behind_the_callers_back(tab: Page) -> None:
    tab.clock.advance(901)
    response = await tab.client.get("/api/notes")
    assert (response.status_code, tab.server.count("/api/refresh")) == (200, 1)


async def test_a_hundred_requests_with_an_expired_token_share_one_refresh(tab: Page) -> None:
    tab.clock.advance(901)
    calls = [tab.client.get(f"/api/notes/{n}") for n in range(100)]
    responses = await asyncio.gather(*calls)
    assert {response.status_code for response in responses} == {200}
    assert tab.server.count("/api/refresh") == 1
    assert len(tab.server.received) == 101


async def test_a_server_that_always_says_expired_gets_two_requests_and_one_refresh(
    tab: Page,
) -> None:
    tab.server.responses["/api/notes"] = lambda _: error_response(401, "TOKEN_EXPIRED")
    response = await tab.client.get("/api/notes")
    assert response.status_code == 401
    assert (tab.server.count("/api/notes"), tab.server.count("/api/refresh")) == (2, 1)


async def test_a_cancelled_request_does_not_cancel_the_refresh_of_the_others(tab: Page) -> None:
    tab.clock.advance(901)
    tab.server.gate = asyncio.Event()
    calls = [asyncio.ensure_future(tab.client.get("/api/notes")) for _ in range(5)]
    while not tab.server.received:
        await asyncio.sleep(0)
    calls[0].cancel()
    await asyncio.sleep(0)
    tab.server.gate.set()
    others = await asyncio.gather(*calls[1:])
    assert {response.status_code for response in others} == {200}
    assert tab.server.count("/api/refresh") == 1


async def test_a_hanging_refresh_times_out(tab: Page) -> None:
    client = tab.open(refresh_timeout=0.05)
    tab.clock.advance(901)
    tab.server.gate = asyncio.Event()
    with pytest.raises(Unreachable):
        await client.refresh()
    while client.state != "degraded":
        await asyncio.sleep(0)


async def test_a_hanging_api_times_out_by_the_requests_own_timeout(tab: Page) -> None:
    tab.server.gate = asyncio.Event()
    tab.clock.advance(901)
    with pytest.raises(Unreachable, match="too long"):
        await tab.client.get("/api/notes", timeout=0.02)
    tab.server.gate.set()


async def test_an_ended_session_makes_one_event_and_one_redirect_for_all_requests(
    tab: Page,
) -> None:
    tab.clock.advance(901)
    tab.server.responses["/api/refresh"] = lambda _: error_response(401, "REFRESH_REUSED")
    calls = [tab.client.get("/api/notes") for _ in range(20)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {SessionExpired}
    assert tab.events == [("signed_in",), ("expired", "REFRESH_REUSED")]
    assert tab.navigator.redirects == ["/login?next=%2Fnotes%3Fpage%3D2%23top&reason=expired"]
    assert tab.store.load() is None


async def test_requests_without_a_session_redirect_once() -> None:
    tab = Page()
    for _ in range(3):
        with pytest.raises(NotSignedIn):
            await tab.client.get("/api/notes")
    assert tab.server.received == []
    assert tab.navigator.redirects == ["/login?next=%2Fnotes%3Fpage%3D2%23top"]


async def test_with_on_expired_event_nothing_is_redirected(tab: Page) -> None:
    client = tab.open(on_expired="event")
    tab.server.responses["/api/notes"] = lambda _: error_response(401, "SESSION_REVOKED")
    with pytest.raises(SessionEnded):
        await client.get("/api/notes")
    assert tab.navigator.redirects == []


async def test_a_reload_continues_the_session_without_an_event(tab: Page) -> None:
    tab.events.clear()
    again = tab.open()
    assert again.state == "active"
    assert again.user == {"id": 1, "username": "ada"}
    assert (await again.get("/api/notes")).status_code == 200
    assert tab.events == []


async def test_a_page_uses_the_token_that_another_page_renewed(tab: Page) -> None:
    other = tab.open()
    tab.clock.advance(901)
    await tab.client.get("/api/notes")
    assert (await other.get("/api/notes")).status_code == 200
    assert tab.server.count("/api/refresh") == 1


async def test_sign_out_in_one_page_ends_the_requests_of_the_other(tab: Page) -> None:
    other = tab.open()
    tab.server.gate = asyncio.Event()
    tab.clock.advance(901)
    waiting = asyncio.ensure_future(other.get("/api/notes"))
    while not tab.server.received:
        await asyncio.sleep(0)
    await tab.client.sign_out()
    tab.server.gate.set()
    with pytest.raises(SessionEnded):
        await waiting
    assert tab.store.load() is None
    assert other.state == "anonymous"


async def test_a_record_written_late_by_another_page_does_not_undo_a_sign_out(tab: Page) -> None:
    late = tab.store.load()
    await tab.client.sign_out()
    assert late is not None
    tab.store.save(late)
    tab.client.wake()
    assert tab.client.state == "anonymous"
    assert tab.store.load() is None


async def test_another_users_sign_in_replaces_the_whole_session(tab: Page) -> None:
    other = tab.open()
    tab.server.generation = 10
    await other.sign_in("bob", "pw")
    tab.client.wake()
    assert session_of(tab.client).record == session_of(other).record


@pytest.mark.parametrize("garbage", ["", "{", "[]", '{"version": 0}', '{"version": 1}', "null"])
async def test_garbage_in_the_store_is_ignored_and_removed(garbage: str) -> None:
    tab = Page()
    tab.store.save(garbage)
    assert tab.open().state == "anonymous"
    assert tab.store.load() is None


async def test_the_record_of_a_later_version_is_kept() -> None:
    tab = Page()
    tab.store.save('{"version": 3, "more": true}')
    assert tab.open().state == "anonymous"
    assert tab.store.load() == '{"version": 3, "more": true}'


async def test_an_exception_in_a_listener_is_logged_without_its_text(
    tab: Page, caplog: pytest.LogCaptureFixture
) -> None:
    def careless() -> None:
        raise RuntimeError(tab.store.load())

    tab.client.on("refreshed", careless)
    with caplog.at_level(logging.ERROR):
        await tab.client.refresh()
    assert "RuntimeError" in caplog.text
    assert "rt1" not in caplog.text
    assert tab.names() == ["signed_in", "refreshed"]


async def test_a_listener_may_await_the_client(tab: Page) -> None:
    responses: list[Response] = []

    async def ask() -> None:
        responses.append(await tab.client.get("/api/notes"))

    tab.client.on("refreshed", ask)
    tab.clock.advance(901)
    await tab.client.get("/api/notes")
    while not responses:
        await asyncio.sleep(0)
    assert responses[0].status_code == 200


async def test_a_listener_can_be_unsubscribed(tab: Page) -> None:
    events: list[None] = []
    off = tab.client.on("refreshed", lambda: events.append(None))
    await tab.client.refresh()
    off()
    off()
    await tab.client.refresh()
    assert len(events) == 1


def test_an_unknown_event_is_refused() -> None:
    with pytest.raises(ValueError, match="no event 'expird'"):
        Page().client.on("expird", print)  # type: ignore[arg-type]


async def test_the_state_is_refreshing_during_a_refresh(tab: Page) -> None:
    states: list[str] = []

    def look(_request: Request) -> Response:
        states.append(tab.client.state)
        return Response(503)

    tab.server.responses["/api/refresh"] = look
    with pytest.raises(Unreachable):
        await tab.client.refresh()
    assert (states, tab.client.state) == (["refreshing"], "degraded")


async def test_the_token_is_refreshed_without_a_request(tab: Page) -> None:
    await tab.client.ready()
    tab.clock.advance(841)
    tab.client.wake()
    while tab.server.count("/api/refresh") == 0:
        await asyncio.sleep(0)
    tab.client.close()


async def test_every_request_method_sends_its_method(tab: Page) -> None:
    client = tab.client
    for method in (client.get, client.head, client.options, client.post, client.put):
        await method("/api/notes")
    await client.patch("/api/notes")
    await client.delete("/api/notes")
    methods = [request.method for request in tab.server.received]
    assert methods == ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


async def test_each_post_has_its_own_idempotency_key_and_a_given_one_is_kept(tab: Page) -> None:
    await tab.client.post("/api/notes", json={"text": "a"})
    await tab.client.post("/api/notes", json={"text": "b"})
    await tab.client.post("/api/notes", json={}, headers={"Idempotency-Key": "mine"})
    await tab.client.get("/api/notes")
    first, second, mine, get = (r.headers.get("idempotency-key") for r in tab.server.received)
    assert first
    assert second
    assert first != second
    assert (mine, get) == ("mine", None)


async def test_no_repr_contains_a_part_of_a_token(tab: Page) -> None:
    record = session_of(tab.client).record
    assert record is not None
    shown = f"{tab.client.diagnose()} {tab.client!r} {record!r} {tab.server.received!r}"
    for part in record.tokens.access_token.split("."):
        assert part not in shown
    assert str(record.tokens.refresh_token) not in shown


async def test_the_return_path_is_read_from_the_sign_in_pages_address(tab: Page) -> None:
    tab.navigator.at = "/login?next=%2Fnotes%3Fpage%3D2%23top"
    assert tab.client.return_path("/") == "/notes?page=2#top"
    tab.navigator.at = "/login?next=%2F%2Fevil.example"
    assert tab.client.return_path("/home") == "/home"


async def test_a_page_can_show_a_countdown(tab: Page) -> None:
    tab.clock.advance(100)
    assert (tab.client.expires_in, tab.client.refresh_in) == (800, 740)
    await tab.client.sign_out()
    assert (tab.client.expires_in, tab.client.refresh_in) == (None, None)


async def test_the_countdown_of_a_failed_refresh_is_to_the_next_attempt(tab: Page) -> None:
    """Not to the moment when a token that is still valid would be due."""
    tab.server.responses["/api/refresh"] = lambda _: Response(503)
    with pytest.raises(Unreachable):
        await tab.client.refresh()
    assert tab.client.state == "degraded"
    assert 0 < (tab.client.refresh_in or 0) <= MAX_DELAY


async def test_returning_to_a_protected_page_redirects_again() -> None:
    tab = Page()
    for visit in range(1, 4):
        tab.client.wake(resume=True)  # as `pageshow` does after Back
        for _ in range(2):
            with pytest.raises(NotSignedIn):
                await tab.client.get("/api/notes")
        assert len(tab.navigator.redirects) == visit


async def test_the_sign_in_page_does_not_redirect() -> None:
    tab = Page()
    tab.navigator.at = "/login?next=%2Fnotes"
    with pytest.raises(NotSignedIn):
        await tab.client.get("/api/notes")
    assert tab.navigator.redirects == []


async def test_a_refresh_without_a_response_is_tried_again_in_a_hidden_page(
    tab: Page,
) -> None:
    client = tab.open(is_watched=lambda: False, tick=1e6)
    session_of(client)._jitter = lambda: 0.0  # noqa: SLF001 - the shortest back-off
    await client.ready()
    tab.server.responses["/api/refresh"] = lambda _: Response(503)
    with pytest.raises(Unreachable):
        await client.refresh()
    del tab.server.responses["/api/refresh"]
    while client.state != "active":
        tab.clock.advance(0.1)
        await asyncio.sleep(0.01)
    assert tab.server.count("/api/refresh") == 2
    client.close()


async def test_fifty_requests_in_an_outage_make_one_refresh_for_each_back_off(tab: Page) -> None:
    session_of(tab.client)._jitter = lambda: 1.0  # noqa: SLF001
    tab.clock.advance(901)
    steps: list[float] = []

    def fail(_request: Request) -> Response:
        steps.append(tab.clock.ticks - 901)
        return Response(503)

    tab.server.responses["/api/refresh"] = fail
    calls = [asyncio.ensure_future(tab.client.get("/api/notes")) for _ in range(50)]
    while not all(call.done() for call in calls):
        for _ in range(200):
            await asyncio.sleep(0)
        tab.clock.advance(0.5)
        tab.client.wake()
    assert all(isinstance(call.exception(), Unreachable) for call in calls)
    assert steps == [0, 1, 3, 7]
    assert tab.names().count("degraded") == 1


async def test_a_failed_refresh_and_a_successful_one_give_the_caller_a_response(
    tab: Page,
) -> None:
    tab.clock.advance(901)
    answers = iter([Response(503)])
    tab.server.responses["/api/refresh"] = lambda request: (
        next(answers, None) or tab.server.issue(request)
    )
    session_of(tab.client)._jitter = lambda: 0.0  # noqa: SLF001
    call = asyncio.ensure_future(tab.client.get("/api/notes"))
    while not call.done():
        await asyncio.sleep(0.01)
        tab.clock.advance(0.1)
        tab.client.wake()
    assert call.result().status_code == 200
    assert tab.names() == ["signed_in", "degraded", "refreshed", "recovered"]


async def test_when_the_network_is_back_nobody_waits_for_the_pause(tab: Page) -> None:
    tab.server.responses["/api/refresh"] = lambda _: Response(500)
    with pytest.raises(Unreachable):
        await tab.client.refresh()
    del tab.server.responses["/api/refresh"]
    tab.clock.advance(901)
    tab.client.wake(resume=True)
    assert (await tab.client.get("/api/notes")).status_code == 200


async def test_a_lock_that_is_not_free_in_time_is_done_without(tab: Page) -> None:
    """Its holder may have stopped running; the server gives both the same result."""
    lock = LocalLock()
    client = tab.open(lock=lock, refresh_timeout=0.2)
    tab.clock.advance(901)
    async with lock.hold(1):
        assert (await client.get("/api/notes")).status_code == 200
    assert tab.server.count("/api/refresh") == 1


async def test_a_closed_client_calls_its_closers(tab: Page) -> None:
    undone: list[str] = []
    tab.client.on_close(lambda: undone.append("listeners"))
    tab.client.close()
    assert undone == ["listeners"]
    assert tab.store.load() is not None


async def test_an_exception_in_an_async_listener_is_logged(
    tab: Page, caplog: pytest.LogCaptureFixture
) -> None:
    async def careless() -> None:
        raise RuntimeError

    tab.client.on("refreshed", careless)
    await tab.client.refresh()
    while "RuntimeError" not in caplog.text:
        await asyncio.sleep(0)


async def test_a_refresh_for_a_stale_generation_sends_nothing(tab: Page) -> None:
    stale = session_of(tab.client).require().generation
    await tab.client.refresh()
    await tab.client._refresh(Refresh(stale, 1))  # noqa: SLF001
    assert tab.server.count("/api/refresh") == 1


async def test_the_same_record_written_again_changes_nothing(tab: Page) -> None:
    text = tab.store.load()
    assert text is not None
    tab.store.save(text + " ")
    tab.client.wake()
    assert tab.names() == ["signed_in"]
    assert tab.store.load() == text + " "


async def test_a_refusal_that_another_page_stored_is_adopted(tab: Page) -> None:
    other = tab.open()
    tab.server.responses["/api/refresh"] = lambda _: error_response(401, "REFRESH_EXPIRED")
    with pytest.raises(SessionExpired):
        await other.refresh()
    tab.client.wake()
    assert tab.client.diagnose()["refused"] == "REFRESH_EXPIRED"
    tab.clock.advance(901)
    with pytest.raises(SessionExpired):
        await tab.client.get("/api/notes")
    assert tab.server.count("/api/refresh") == 1


async def test_an_expiry_in_another_page_is_an_expiry_here() -> None:
    tab = Page()
    tab.server.has_refresh = False
    await tab.client.sign_in("ada", "pw")
    other = tab.open(on_expired="event")
    tab.clock.advance(901)
    tab.server.responses["/api/notes"] = lambda _: error_response(401, "TOKEN_EXPIRED")
    with pytest.raises(SessionExpired):
        await other.get("/api/notes")
    tab.client.wake()
    assert tab.client.state == "expired"
    assert tab.navigator.redirects[-1].endswith("reason=expired")


async def test_after_waiting_for_the_lock_the_other_pages_token_is_used(tab: Page) -> None:
    lock = LocalLock()
    other = tab.open(lock=lock)
    tab.clock.advance(901)
    async with lock.hold(1):
        waiting = asyncio.ensure_future(other.get("/api/notes"))
        while other._refreshing is None:  # noqa: SLF001 - no event says that it waits for the lock
            await asyncio.sleep(0)
        await tab.client.refresh()
    assert (await waiting).status_code == 200
    assert tab.server.count("/api/refresh") == 1


async def test_ready_called_twice_starts_one_task(tab: Page) -> None:
    await tab.client.ready()
    watch = tab.client._stay_ahead_task  # noqa: SLF001
    assert (await tab.client.ready())._stay_ahead_task is watch  # noqa: SLF001
    tab.client.close()
