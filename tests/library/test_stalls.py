"""Slow networks, a blocked event loop, a holder of the lock that stalls: no response is wasted."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.library.conftest import session_of
from tests.library.test_async_client import Page
from tests.library.test_sync_client import Program
from tests.support.clock import FakeClock
from tests.support.fake_server import (
    API,
    AsyncFakeServer,
    error_response,
    json_response,
    token_fields,
)
from unexpired import AsyncClient, Client, Dialect, Request, Response, SessionEnded, Unreachable
from unexpired.ports import MemoryStore, SystemClock
from unexpired.timers import timeout_after

BLOCKED = 0.4  # s


class SlowServer(AsyncFakeServer):
    """Responds to each request after some seconds."""

    seconds: float = 0.05

    async def send(self, request: Request) -> Response:
        self.received.append(request)
        await asyncio.sleep(self.seconds)
        if self.gate is not None:
            await self.gate.wait()
        return self.respond(request)


async def signed_in(server: SlowServer, **options: Any) -> AsyncClient:
    client = AsyncClient(server, clock=server.clock, base_url=API, **options)
    await client.sign_in("ada", "pw")
    server.received.clear()
    return client


@pytest.fixture
def server() -> SlowServer:
    return SlowServer(FakeClock())


# -- A blocked event loop --------------------------------------------------------------------------


async def test_a_refresh_is_used_that_came_while_the_loop_was_blocked(server: SlowServer) -> None:
    client = await signed_in(server, refresh_timeout=0.2)
    refresh = asyncio.ensure_future(client.refresh())
    await asyncio.sleep(0)
    time.sleep(BLOCKED)  # noqa: ASYNC251 - a long computation, or a dialog
    await refresh
    assert (client.state, session_of(client).require().generation.number) == ("active", 2)


async def test_a_call_is_used_that_came_while_the_loop_was_blocked(server: SlowServer) -> None:
    client = await signed_in(server)
    call = asyncio.ensure_future(client.get("/api/notes", timeout=0.2))
    await asyncio.sleep(0)
    time.sleep(BLOCKED)  # noqa: ASYNC251
    assert (await call).status_code == 200


async def test_a_loop_that_is_always_late_still_ends_its_timeouts() -> None:
    """The timers of a hidden page come late, each of them."""
    stop = asyncio.Event()

    async def compute() -> None:
        while not stop.is_set():
            time.sleep(0.03)  # noqa: ASYNC251
            await asyncio.sleep(0)

    computing = asyncio.ensure_future(compute())
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        async with timeout_after(0.05):
            await asyncio.sleep(60)
    assert time.monotonic() - started < 2
    stop.set()
    await computing


# -- An exchange goes on when its callers have given up --------------------------------------------


async def test_a_response_later_than_every_callers_wait_is_used(server: SlowServer) -> None:
    client = await signed_in(server, refresh_timeout=0.1)
    server.seconds = 0.3
    with pytest.raises(Unreachable):
        await client.refresh()
    assert client.state == "degraded"
    await until(lambda: client.state == "active")
    assert session_of(client).require().generation.number == 2


async def test_one_that_hangs_does_not_hold_up_the_next(server: SlowServer) -> None:
    """Both have one attempt, so the server gives them the same result."""
    client = await signed_in(server, refresh_timeout=0.1)
    server.seconds = 60
    with pytest.raises(Unreachable):
        await client.refresh()
    server.seconds = 0
    await client.refresh()
    assert client.state == "active"
    assert len({request.body for request in server.received}) == 1


async def test_without_attempts_one_exchange_at_a_time_is_waited_for(server: SlowServer) -> None:
    """Another server would take the second for a theft."""
    dialect = Dialect(message="detail")
    client = await signed_in(server, refresh_timeout=0.1, dialect=dialect)
    server.gate = asyncio.Event()
    for _ in range(3):
        with pytest.raises(Unreachable):
            await client.refresh()
    assert server.count("/api/refresh") == 1
    server.gate.set()
    await until(lambda: client.state == "active")


async def test_a_slow_sign_in_is_waited_for(server: SlowServer) -> None:
    client = AsyncClient(server, clock=server.clock, base_url=API, refresh_timeout=0.02)
    server.seconds = 0.2
    await client.sign_in("ada", "pw")
    assert client.state == "active"


def test_a_program_uses_a_late_response_at_its_next_call() -> None:
    program = Program()
    program.client = program.open(refresh_timeout=0.1)
    program.client.sign_in("ada", "pw")
    answer = threading.Event()

    def slow(request: Request) -> Response:
        assert answer.wait(10)
        return program.server.issue(request)

    program.server.responses["/api/refresh"] = slow
    with pytest.raises(Unreachable):
        program.client.refresh()
    assert program.events[-1] == ("degraded",)
    with pytest.raises(Unreachable):
        program.client.refresh()
    answer.set()
    program.client.refresh()
    assert program.client.state == "active"
    assert program.server.count("/api/refresh") == 1


# -- A session that was replaced during its refresh ----------------------------------------------


class LateRefresh(SlowServer):
    """Responds to the first refresh when the test lets it."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.late: list[asyncio.Event] = [asyncio.Event()]

    async def send(self, request: Request) -> Response:
        if request.url.endswith("/api/refresh") and self.late:
            self.received.append(request)
            await self.late.pop().wait()
            return self.respond(request)
        return await super().send(request)


async def test_a_refresh_of_a_replaced_session_ends_no_other_one() -> None:
    server = LateRefresh(FakeClock())
    [answer] = server.late
    client = await signed_in(server)
    replaced = asyncio.ensure_future(client.refresh())
    await until(lambda: server.count("/api/refresh") == 1)
    await client.adopt(token_fields(7))
    server.clock.advance(1000)
    call = asyncio.ensure_future(client.get("/api/notes"))
    await asyncio.sleep(0)
    answer.set()
    assert (await call).status_code == 200
    with pytest.raises(SessionEnded):
        await replaced


def test_a_program_does_not_go_on_with_a_refresh_of_a_replaced_session() -> None:
    program = Program()
    program.client = program.open(refresh_timeout=0.1)
    program.client.sign_in("ada", "pw")
    answer = threading.Event()

    def hang(request: Request) -> Response:
        answer.wait(10)
        return program.server.issue(request)

    program.server.responses["/api/refresh"] = hang
    with pytest.raises(Unreachable):
        program.client.refresh()
    program.client.adopt(token_fields(7))
    program.server.responses["/api/refresh"] = program.server.issue
    program.client.refresh()
    answer.set()
    assert program.events[-1] == ("refreshed",)


# -- Pace ------------------------------------------------------------------------------------------


async def test_tokens_that_live_for_a_millisecond_are_not_refreshed_all_the_time() -> None:
    server = AsyncFakeServer(FakeClock())
    fields = {"accessToken": "opaque", "refreshToken": "r", "expiresIn": 0.001}
    for path in ("/api/login", "/api/refresh"):
        server.responses[path] = lambda _: json_response(200, fields)
    client = AsyncClient(server, base_url=API, clock=SystemClock(), tick=0.01)
    await client.sign_in("ada", "pw")
    await client.ready()
    await asyncio.sleep(1.5)
    client.close()
    assert 1 <= server.count("/api/refresh") <= 3


async def test_tokens_that_are_dead_on_arrival_are_refreshed_less_and_less_often() -> None:
    page = Page()
    await page.client.sign_in("ada", "pw")
    page.server.responses["/api/notes"] = lambda _: error_response(401, "TOKEN_EXPIRED")
    refreshed_at: list[float] = []
    for _ in range(300):
        before = page.server.count("/api/refresh")
        if not session_of(page.client).pause_left(page.clock.monotonic()):
            await page.client.get("/api/notes")
        if page.server.count("/api/refresh") > before:
            refreshed_at.append(page.clock.monotonic())
        page.clock.advance(0.5)
    pauses = [later - earlier for earlier, later in pairwise(refreshed_at)]
    assert pauses[:5] == [1, 2, 4, 8, 16]
    assert set(pauses[5:]) == {30}


async def test_a_surprise_in_the_background_does_not_end_staying_ahead(
    caplog: pytest.LogCaptureFixture,
) -> None:
    page = Page()
    client = page.open(tick=0.01)
    await client.sign_in("ada", "pw")

    def surprise(_: Request) -> Response:
        raise RuntimeError("with a secret")

    page.server.responses["/api/refresh"] = surprise
    await client.ready()
    page.clock.advance(870)
    await until(lambda: "RuntimeError" in caplog.text)
    del page.server.responses["/api/refresh"]
    await until(lambda: session_of(client).require().generation.number == 2)
    client.close()
    assert "secret" not in caplog.text


# -- Elsewhere -------------------------------------------------------------------------------------


async def test_tokens_that_come_from_another_origin_are_not_used(server: SlowServer) -> None:
    """A transport that follows redirects may bring them; ours do not for such requests."""
    client = await signed_in(server)
    evil = json_response(200, token_fields(9))
    server.responses["/api/refresh"] = lambda _: replace(evil, url="https://evil.example/api")
    with pytest.raises(Unreachable):
        await client.refresh()
    assert session_of(client).require().tokens.refresh_token == "rt1.1"
    server.responses["/api/login"] = server.responses["/api/refresh"]
    with pytest.raises(Unreachable):
        await client.sign_in("ada", "pw")


# -- A sign-in replaces, and an end is reported ----------------------------------------------------


def signed_out(server: AsyncFakeServer) -> list[bytes]:
    return [
        request.body
        for request in server.received
        if request.url.endswith("/api/logout") and isinstance(request.body, bytes)
    ]


async def test_a_sign_in_over_a_session_ends_it_at_the_server(server: SlowServer) -> None:
    server.seconds = 0
    client = await signed_in(server)
    await client.sign_in("ada", "pw")
    await until(lambda: bool(signed_out(server)))
    assert signed_out(server) == [b'{"refreshToken": "rt1.1"}']
    assert session_of(client).require().tokens.refresh_token == "rt1.2"


async def test_of_two_sign_ins_at_once_one_session_is_left(server: SlowServer) -> None:
    client = AsyncClient(server, clock=server.clock, base_url=API)
    await asyncio.gather(*(client.sign_in("ada", "pw") for _ in range(2)))
    await until(lambda: bool(signed_out(server)))
    kept = session_of(client).require().tokens.refresh_token
    assert signed_out(server) == [
        f'{{"refreshToken": "{other}"}}'.encode() for other in ("rt1.1", "rt1.2") if other != kept
    ]


async def test_a_sign_in_waits_for_no_end_of_another_session(server: SlowServer) -> None:
    server.seconds = 0
    client = await signed_in(server)
    server.responses["/api/logout"] = lambda _: Response(503)
    await asyncio.wait_for(client.sign_in("ada", "pw"), 1)
    assert client.state == "active"


async def test_without_a_refresh_token_the_access_token_is_signed_out(server: SlowServer) -> None:
    server.has_refresh = False
    client = await signed_in(server)
    token = session_of(client).require().tokens.access_token
    await client.sign_out()
    (request,) = server.received
    assert (request.url, request.body) == (f"{API}/api/logout", b"{}")
    assert request.headers["authorization"] == f"Bearer {token}"


@pytest.mark.parametrize("failure", [Response(503), Response(429), None])
async def test_an_end_that_did_not_reach_the_server_is_sent_when_the_network_is_back(
    server: SlowServer, failure: Response | None
) -> None:
    server.seconds = 0
    client = await signed_in(server)

    def fail(_: Request) -> Response:
        if failure is None:
            raise Unreachable
        return failure

    server.responses["/api/logout"] = fail
    await client.sign_out()
    assert client.state == "anonymous"
    del server.responses["/api/logout"]
    client.wake(resume=True)
    await until(lambda: len(signed_out(server)) == 2)
    client.wake(resume=True)
    await asyncio.sleep(0.05)
    assert signed_out(server) == [b'{"refreshToken": "rt1.1"}'] * 2


def test_a_program_ends_what_its_sign_in_replaces() -> None:
    program = Program()
    for _ in range(2):
        program.client.sign_in("ada", "pw")
    assert program.server.count("/api/logout") == 1


def test_a_shared_store_without_a_lock_costs_a_moment_and_agrees() -> None:
    """Two programs on one store that have no lock between them."""

    class Shared(MemoryStore):
        pass

    clock, store = SystemClock(), Shared()
    server = Program().server
    one, other = (Client(server, store=store, clock=clock, base_url=API) for _ in range(2))
    one.sign_in("ada", "pw")
    other.ready()
    threads = [threading.Thread(target=client.refresh) for client in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bodies = [request.body for request in server.received if "refresh" in request.url]
    assert len(set(bodies)) == 1


async def until(is_true: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(10):
        while not is_true():
            await asyncio.sleep(0.01)
