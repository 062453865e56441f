"""Streams, events and progress of both clients, on transports in memory and in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, cast

import pytest

from tests.support.clock import FakeClock
from tests.support.fake_server import API, AsyncFakeServer, error_response
from tests.support.streaming_server import (
    AsyncStreamingServer,
    Piece,
    Streams,
    SyncStreamingServer,
)
from tests.support.virtual_loop import run
from unexpired import (
    AsyncClient,
    AsyncResponseStream,
    BadReply,
    Client,
    Headers,
    NotSignedIn,
    Request,
    Response,
    ServerSentEvent,
    SessionEnded,
    Unreachable,
)

DRIPS: list[Piece] = [b" ", 2.0] * 1000
FEED: dict[str, Any] = {"content_type": "text/event-stream"}


class World:
    """One of the two clients, signed in, read in one way."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async
        self.clock = FakeClock()
        self.server: Any = (AsyncStreamingServer if is_async else SyncStreamingServer)(self.clock)
        self.client: Any = self.open()

    def open(self, **options: Any) -> Any:
        kind: Any = AsyncClient if self.is_async else Client
        return kind(self.server, clock=self.clock, base_url=API, **options)

    @property
    def streams(self) -> Streams:
        return cast("Streams", self.server.streams)

    async def result(self, value: Any) -> Any:
        return await value if self.is_async else value

    async def sign_in(self) -> None:
        await self.result(self.client.sign_in("ada", "pw"))
        self.server.received.clear()

    async def get(self, url: str, **options: Any) -> Response:
        return cast("Response", await self.result(self.client.get(url, **options)))

    @asynccontextmanager
    async def stream(self, url: str, **options: Any) -> AsyncIterator[Any]:
        opened = self.client.stream("GET", url, **options)
        if self.is_async:
            async with opened as stream:
                yield stream
        else:
            with opened as stream:
                yield stream

    async def items(self, stream: Any, kind: str, *args: Any) -> list[Any]:
        """Return what a stream yields as bytes, text or lines."""
        if self.is_async:
            return [item async for item in getattr(stream, f"aiter_{kind}")(*args)]
        return list(getattr(stream, f"iter_{kind}")(*args))

    async def read(self, stream: Any) -> Response:
        return cast(
            "Response", await self.result((stream.aread if self.is_async else stream.read)())
        )

    async def next(self, events: Any) -> ServerSentEvent:
        if self.is_async:
            return cast("ServerSentEvent", await anext(events))
        try:
            return cast("ServerSentEvent", next(events))
        except StopIteration:
            raise StopAsyncIteration from None

    async def take(self, count: int, **options: Any) -> list[ServerSentEvent]:
        """Return the first events of the feed, then leave it; all of them if it ends before."""
        found: list[ServerSentEvent] = []
        events = self.client.events("/feed", **options)
        while len(found) < count:
            try:
                found.append(await self.next(events))
            except StopAsyncIteration:
                break
        await self.result(events.aclose() if self.is_async else events.close())
        return found

    @property
    def passed(self) -> float:
        """The seconds that have passed for the client."""
        return asyncio.get_running_loop().time() if self.is_async else self.clock.ticks

    @property
    def paths(self) -> list[str]:
        return [request.url.removeprefix(API) for request in self.server.received]


@pytest.fixture(params=[True, False], ids=["AsyncClient", "Client"])
def is_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def world(is_async: bool) -> World:  # noqa: FBT001 - a fixture
    world = World(is_async=is_async)
    run(world.sign_in())
    return world


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in a loop that skips to its next timer, so that nothing waits."""

    @wraps(test)
    def run_test(*args: Any, **kwargs: Any) -> None:
        run(test(*args, **kwargs))

    return run_test


# -- Streams ---------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_body_is_read_as_it_arrives(world: World) -> None:
    world.streams.add("/big", b"ab", b"cde", content_type="text/csv")
    async with world.stream("/big") as stream:
        assert (stream.status_code, stream.is_success, stream.num_bytes_downloaded) == (
            200,
            True,
            0,
        )
        assert stream.headers["content-type"] == "text/csv"
        assert stream.request.url == f"{API}/big"
        assert await world.items(stream, "bytes") == [b"ab", b"cde"]
        assert stream.num_bytes_downloaded == 5
    assert world.streams.opened[0].is_closed


@in_virtual_time
async def test_chunks_text_and_lines(world: World) -> None:
    """Characters and line ends may be cut in two by the network."""
    world.streams.add("/big", b"a\xc3", b"\xbc\r", b"\nb\n\nc")
    for kind, args, expected in (
        ("bytes", [4], [b"a\xc3\xbc\r", b"\nb\n\n", b"c"]),
        ("text", [], ["a", "ü\r", "\nb\n\nc"]),
        ("lines", [], ["aü", "b", "", "c"]),
    ):
        async with world.stream("/big") as stream:
            assert await world.items(stream, kind, *args) == expected


@in_virtual_time
async def test_the_whole_body_can_be_read_at_once_and_again(world: World) -> None:
    world.streams.add("/big", b'{"a":', b" 1}")
    async with world.stream("/big") as stream:
        response = await world.read(stream)
        assert response.json() == {"a": 1}
        assert await world.read(stream) is response
        assert await world.items(stream, "bytes") == [b'{"a": 1}']


@in_virtual_time
async def test_a_stream_is_read_once(world: World) -> None:
    """Reading it again, or after its block, says so."""
    world.streams.add("/big", b"ab", b"cde")
    async with world.stream("/big") as stream:
        await world.items(stream, "lines")
        with pytest.raises(RuntimeError, match="read once"):
            await world.items(stream, "bytes")
    async with world.stream("/big") as stream:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await world.items(stream, "bytes")


@in_virtual_time
async def test_leaving_the_block_early_abandons_the_rest(world: World) -> None:
    world.streams.add("/big", b"ab", b"cde")
    with pytest.raises(KeyError):
        async with world.stream("/big"):
            raise KeyError
    script = world.streams.opened[0]
    assert (script.is_closed, script.pieces) == (True, [b"ab", b"cde"])


@in_virtual_time
async def test_a_token_that_expires_before_the_head_is_renewed(world: World) -> None:
    """The response with the 401 is closed, and the caller sees the second only."""
    world.streams.add("/big", b"ab")
    world.server.generation += 1
    async with world.stream("/big") as stream:
        assert await world.items(stream, "bytes") == [b"ab"]
    assert world.paths == ["/big", "/api/refresh", "/big"]


@in_virtual_time
async def test_after_the_head_the_token_no_longer_matters(world: World) -> None:
    world.streams.add("/big", b"ab", b"cde")
    async with world.stream("/big") as stream:
        world.clock.advance(10_000)
        world.server.generation += 1
        assert await world.items(stream, "bytes") == [b"ab", b"cde"]
    assert world.paths == ["/big"]


@in_virtual_time
async def test_a_replaced_response_is_closed(world: World) -> None:
    """Of a 401 whose body is long, only its beginning is read."""
    refusal = error_response(401, "TOKEN_EXPIRED").content + b" " * 70_000
    world.streams.add("/big", refusal, b" ", status=401)
    world.streams.add("/big", b"ab")
    async with world.stream("/big") as stream:
        assert stream.status_code == 200
        assert [script.is_closed for script in world.streams.opened] == [True, False]


@in_virtual_time
async def test_of_an_errors_body_a_bounded_part_is_read_ahead(world: World) -> None:
    """All of it can still be read."""
    world.streams.add("/big", *[b"x" * 50_000] * 10, status=401)
    async with world.stream("/big") as stream:
        assert len(world.streams.opened[0].pieces) == 8
        assert len((await world.read(stream)).content) == 500_000
        assert stream.num_bytes_downloaded == 500_000


@pytest.mark.parametrize("limit", [5.0, None])
@in_virtual_time
async def test_an_errors_body_that_drips_without_end_is_unreachable(
    world: World, limit: float | None
) -> None:
    """The beginning of it is read ahead, for a bounded time also where the caller sets no limit."""
    world.streams.add("/big", *DRIPS, status=500)
    before = world.passed
    with pytest.raises(Unreachable):
        async with world.stream("/big", timeout=limit):
            pass
    assert world.passed - before <= (limit or 30.0)
    assert world.streams.opened[0].is_closed


@in_virtual_time
async def test_an_error_status_raises_with_its_code_and_message(world: World) -> None:
    error = error_response(409, "TAKEN").content
    world.streams.add("/big", error[:9], error[9:], status=409)
    world.streams.add("/fine", b"ab")
    async with world.stream("/big") as stream:
        with pytest.raises(BadReply, match=r"A message\.") as caught:
            stream.raise_for_status()
        assert (caught.value.status_code, caught.value.code) == (409, "TAKEN")
        assert await world.items(stream, "bytes") == [error[:9], error[9:]]
    async with world.stream("/fine") as stream:
        assert stream.raise_for_status() is stream


@in_virtual_time
async def test_a_body_that_breaks_off_is_unreachable(world: World) -> None:
    """It is never handed out as if it were complete."""
    world.streams.add("/big", b"ab", Unreachable())
    with pytest.raises(Unreachable):
        await world.get("/big")
    async with world.stream("/big") as stream:
        with pytest.raises(Unreachable):
            await world.items(stream, "lines")
    assert all(script.is_closed for script in world.streams.opened)


@in_virtual_time
async def test_without_a_session_a_stream_does_not_open(world: World) -> None:
    await world.result(world.client.sign_out())
    with pytest.raises(NotSignedIn):
        async with world.stream("/big"):
            pytest.fail("the block began")


# -- Timeouts --------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_download_that_keeps_moving_may_take_longer_than_the_timeout(world: World) -> None:
    """Sixty seconds with ``timeout=30``; so an ordinary request may, too."""
    world.streams.add("/big", b"ab", 20.0, b"cd", 20.0, b"ef", 20.0)
    assert (await world.get("/big", timeout=30)).content == b"abcdef"
    assert world.passed >= 60


@in_virtual_time
async def test_a_download_that_stands_still_for_the_timeout_is_unreachable(world: World) -> None:
    world.streams.add("/big", b"ab", 31.0, b"cd")
    with pytest.raises(Unreachable):
        await world.get("/big", timeout=30)
    async with world.stream("/big") as stream:  # The client's own timeout is 30 s.
        with pytest.raises(Unreachable):
            await world.items(stream, "bytes")
    assert 60 <= world.passed < 62
    assert all(script.is_closed for script in world.streams.opened)


@in_virtual_time
async def test_without_a_timeout_a_body_may_stand_still(world: World) -> None:
    world.streams.add("/big", b"ab", 100_000.0, b"cd")
    assert (await world.get("/big", timeout=None)).content == b"abcd"


# -- Progress --------------------------------------------------------------------------------------


@in_virtual_time
async def test_progress_is_reported_after_each_piece(world: World) -> None:
    """For an ordinary request and a stream; the total is the Content-Length."""
    seen: list[tuple[int, int | None]] = []
    world.streams.add("/big", b"ab", b"cde", content_length="5")
    options = {"download_progress": lambda done, total: seen.append((done, total))}
    await world.get("/big", **options)
    async with world.stream("/big", **options) as stream:
        await world.items(stream, "lines")
    assert seen == [(2, 5), (5, 5)] * 2


@pytest.mark.parametrize(
    ("headers", "pieces", "expected"),
    [
        ({}, [b"ab"], [(2, None)]),
        ({"content_length": "1", "content_encoding": "gzip"}, [b"ab"], [(2, None)]),
        ({"content_length": "0"}, [], [(0, 0)]),
        ({"content_length": "²"}, [], [(0, None)]),
    ],
)
@in_virtual_time
async def test_a_total_that_is_not_known_is_none(
    world: World, headers: dict[str, Any], pieces: list[bytes], expected: list[tuple[int, int]]
) -> None:
    """An encoded body is decoded, so its Content-Length is not its size."""
    seen: list[tuple[int, int | None]] = []
    world.streams.add("/big", *pieces, **headers)
    await world.get("/big", download_progress=lambda *counts: seen.append(counts))
    assert seen == expected


@in_virtual_time
async def test_a_refusal_that_is_repeated_is_no_progress(world: World) -> None:
    seen: list[tuple[int, int | None]] = []
    world.streams.add("/big", error_response(401, "TOKEN_EXPIRED").content, status=401)
    world.streams.add("/big", b"ab")
    await world.get("/big", download_progress=lambda *counts: seen.append(counts))
    assert seen == [(2, None)]


# -- Events ----------------------------------------------------------------------------------------


@in_virtual_time
async def test_events_arrive_with_their_ids(world: World) -> None:
    world.streams.add("/feed", b"id: 1\nevent: add\ndata: a\n", b"\ndata: b\n\n", **FEED)
    assert await world.take(2) == [
        ServerSentEvent("add", "a", "1"),
        ServerSentEvent("message", "b", "1"),
    ]
    sent = world.server.received[0].headers
    assert (sent["accept"], "last-event-id" in sent) == ("text/event-stream", False)
    assert world.streams.opened[0].is_closed


@in_virtual_time
async def test_a_connection_that_ends_goes_on_after_the_last_event(world: World) -> None:
    """After 3 s, or the time that the server sets; what is incomplete is dropped."""
    world.streams.add("/feed", b"id: 1\ndata: a\n\ndata: lost\n", **FEED)
    world.streams.add("/feed", b"retry: 20000\nid: 2\ndata: b\n\n", Unreachable(), **FEED)
    world.streams.add("/feed", b"data: c\n\n", **FEED)
    events = await world.take(3, last_event_id="0")
    assert [event.data for event in events] == ["a", "b", "c"]
    sent = [one.headers for one in world.server.received if one.url.endswith("/feed")]
    assert list(dict.fromkeys(headers["last-event-id"] for headers in sent)) == ["0", "1", "2"]
    assert 23 <= world.passed <= 23 * 1.5


@in_virtual_time
async def test_each_connection_has_a_fresh_token(world: World) -> None:
    world.streams.add("/feed", b"data: a\n\n", **FEED)
    world.streams.add("/feed", b"data: b\n\n", **FEED)
    events = world.client.events("/feed")
    first = await anext(events) if world.is_async else next(events)
    world.clock.advance(901)
    second = await anext(events) if world.is_async else next(events)
    assert (first.data, second.data) == ("a", "b")
    assert world.paths == ["/feed", "/api/refresh", "/feed"]
    await world.result(events.aclose() if world.is_async else events.close())


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
@in_virtual_time
async def test_an_outage_is_waited_out_for_as_long_as_the_server_asks(
    world: World, status: int
) -> None:
    world.streams.add("/feed", status=status, retry_after="50")
    world.streams.add("/feed", b"data: a\n\n", **FEED)
    assert [event.data for event in await world.take(1)] == ["a"]
    assert 50 <= world.passed < 60


@in_virtual_time
async def test_no_content_ends_the_events(world: World) -> None:
    world.streams.add("/feed", b"data: a\n\n", **FEED)
    world.streams.add("/feed", status=204)
    assert [event.data for event in await world.take(9)] == ["a"]


@in_virtual_time
async def test_a_refusal_and_another_content_type_raise(world: World) -> None:
    """With the status and the server's code; nothing is tried again."""
    world.streams.add("/feed", error_response(404, "NOT_FOUND").content, status=404)
    with pytest.raises(BadReply, match=r"A message\.") as caught:
        await world.take(1)
    assert (caught.value.status_code, caught.value.code) == (404, "NOT_FOUND")
    world.streams.answers.clear()
    world.streams.add("/feed", b"<p>", content_type="text/html")
    with pytest.raises(BadReply) as caught:
        await world.take(1)
    assert (caught.value.status_code, len(world.server.received)) == (200, 2)


@in_virtual_time
async def test_a_session_that_ends_ends_the_events(world: World) -> None:
    world.streams.add("/feed", b"data: a\n\n", **FEED)
    world.streams.add("/feed", error_response(401, "SESSION_REVOKED").content, status=401)
    with pytest.raises(SessionEnded):
        await world.take(2)
    assert world.client.state == "expired"


@pytest.mark.parametrize("is_replaced", [True, False])
@in_virtual_time
async def test_events_of_a_person_who_signs_out_end_at_once(
    world: World,
    is_replaced: bool,  # noqa: FBT001 - by the next person
) -> None:
    """What the connection brings then is still of the person who has left."""
    world.streams.add("/feed", b"data: a\n\ndata: b\n\n", 1000.0, b"data: c\n\n", **FEED)
    events = world.client.events("/feed")
    await world.next(events)
    await world.result(world.client.sign_out())
    assert world.streams.opened[0].is_closed
    if is_replaced:
        await world.sign_in()
    with pytest.raises(SessionEnded) as caught:
        await world.next(events)
    assert caught.value.code == "SIGNED_OUT"
    assert caught.value.request is not None
    assert caught.value.request.url == f"{API}/feed"
    assert len(world.streams.opened) == 1


@in_virtual_time
async def test_events_never_go_on_as_another_person(world: World) -> None:
    """Who signs in while a connection is made again, has not asked for them."""
    world.streams.add("/feed", b"data: a\n\n", **FEED)
    taken: list[str] = []
    events = world.client.events("/feed")
    taken.append((await world.next(events)).data)
    await world.sign_in()
    with pytest.raises(SessionEnded):
        await world.next(events)
    assert taken == ["a"]
    assert world.paths.count("/feed") == 0


@in_virtual_time
async def test_events_with_a_token_of_the_callers_own_are_of_nobody_here(world: World) -> None:
    world.streams.add("/feed", b"data: a\n\n", b"data: b\n\n", **FEED)
    token = await world.result(world.client.token())
    events = world.client.events("/feed", headers={"Authorization": f"Bearer {token}"})
    first = await world.next(events)
    await world.result(world.client.sign_out())
    second = await world.next(events)
    assert [first.data, second.data] == ["a", "b"]


@in_virtual_time
async def test_silence_between_events_is_no_failure_unless_a_timeout_is_given(
    world: World,
) -> None:
    """The client's own timeout does not bound it; one of the call connects again."""
    world.streams.add("/feed", b"data: a\n\n", 5_000.0, b"data: b\n\n", **FEED)
    assert [event.data for event in await world.take(2)] == ["a", "b"]
    assert [event.data for event in await world.take(2, timeout=40)] == ["a", "a"]
    assert len(world.streams.opened) == 3


@in_virtual_time
async def test_an_argument_of_events_that_is_wrong_is_refused_at_once(world: World) -> None:
    with pytest.raises(TypeError, match="last_event_id"):
        world.client.events("/feed", last_event_id=5)
    with pytest.raises(TypeError, match="params"):
        world.client.events("/feed", param={})
    with pytest.raises(ValueError, match="no body"):
        world.client.events("/feed", json={})


@in_virtual_time
async def test_events_need_a_transport_that_streams() -> None:
    """Any other would read a response that has no end."""
    server = AsyncFakeServer(FakeClock())
    client = AsyncClient(server, clock=server.clock, base_url=API)
    await client.sign_in("ada", "pw")
    with pytest.raises(TypeError, match=r"open\(\)"):
        await anext(client.events("/feed"))


@in_virtual_time
async def test_a_transport_without_streams_serves_a_stream_of_one_piece() -> None:
    server = AsyncFakeServer(FakeClock())
    client = AsyncClient(server, clock=server.clock, base_url=API)
    await client.sign_in("ada", "pw")
    async with client.stream("GET", "/api/notes") as stream:
        assert [piece async for piece in stream.aiter_bytes()] == [b'{"ok": true}']


@in_virtual_time
async def test_a_client_that_may_not_wait_raises_when_a_connection_ends() -> None:
    """As in a page, which would freeze."""
    world = World(is_async=False)
    client = world.open(max_backoff=0)
    client.sign_in("ada", "pw")
    world.streams.add("/feed", b"data: a\n\n", **FEED)
    events = client.events("/feed")
    assert next(events).data == "a"
    with pytest.raises(Unreachable) as caught:
        next(events)
    assert caught.value.retry_after is not None


@in_virtual_time
async def test_waking_the_client_shortens_a_delay_but_not_a_retry_after() -> None:
    """As when the network is back."""
    world = World(is_async=True)
    await world.sign_in()
    world.streams.add("/feed", b"retry: 1000000\ndata: a\n\n", **FEED)
    world.streams.add("/feed", status=503, retry_after="50")
    world.streams.add("/feed", b"data: b\n\n", **FEED)
    taken = asyncio.ensure_future(world.take(2))
    await asyncio.sleep(10)
    world.client.wake()  # The first delay.
    for _ in range(2):
        await asyncio.sleep(15)
        world.client.wake()  # The server's 50 s.
    await asyncio.sleep(30)
    assert len(world.streams.opened) == 2
    world.client.wake()  # The rest of the stream's own delay.
    assert [event.data for event in await taken] == ["a", "b"]
    assert 60 <= world.passed <= 70


@in_virtual_time
async def test_waking_the_client_shortens_the_back_off_of_a_refresh_that_events_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody asked for it: the network may be back."""
    world = World(is_async=True)
    monkeypatch.setattr(world.clock, "monotonic", asyncio.get_running_loop().time)
    monkeypatch.setattr("unexpired.session.backoff", lambda *_: 30.0)
    await world.sign_in()
    world.streams.add("/feed", b"data: a\n\n", **FEED)
    world.clock.advance(1000)

    def fail(_: Request) -> Response:
        raise Unreachable

    world.server.responses["/api/refresh"] = fail
    taken = asyncio.ensure_future(world.take(1))
    await asyncio.sleep(10)
    assert not taken.done()
    del world.server.responses["/api/refresh"]
    before = world.passed
    world.client.wake(resume=True)
    assert [event.data for event in await taken] == ["a"]
    assert world.passed - before < 1


@in_virtual_time
async def test_leaving_a_loop_over_events_closes_the_connection() -> None:
    world = World(is_async=True)
    await world.sign_in()
    world.streams.add("/feed", b"data: a\n\n", 1000.0, **FEED)
    async for _event in world.client.events("/feed"):
        break
    await asyncio.sleep(1)  # The loop closes the iterator when it runs next.
    assert world.streams.opened[0].is_closed


@in_virtual_time
async def test_cancelling_a_read_closes_the_connection() -> None:
    world = World(is_async=True)
    await world.sign_in()
    world.streams.add("/big", b"ab", 1000.0, b"cd")
    call = asyncio.ensure_future(world.client.get("/big"))
    await asyncio.sleep(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert world.streams.opened[0].is_closed


class WholeBody:
    """A body that says when nothing is left of it."""

    def __init__(self) -> None:
        self.reads = 0
        self.is_complete = False
        self.is_closed = False

    async def read(self) -> bytes:
        """Return all of it."""
        self.reads += 1
        self.is_complete = True
        return b"ab"

    def close(self) -> None:
        """Note that it is not needed any more."""
        self.is_closed = True


@in_virtual_time
async def test_a_body_that_is_complete_is_not_read_again() -> None:
    """Each read is waited for within a limit, which costs more than the look."""
    body = WholeBody()
    stream = AsyncResponseStream(200, Headers(), body)
    assert (await stream.aread()).content == b"ab"
    assert (body.reads, body.is_closed) == (1, True)
