"""Streams, server-sent events and progress in a browser, against a server that sends in pieces."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext

from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory
from tests.e2e.download_server import TIMEOUT, DownloadServer, Handler, token_expired
from tests.e2e.watch import Watch

DEFINITIONS = """
from unexpired import Client, Unreachable

async def failure(work):
    try: await work
    except Exception as error: return type(error).__name__
"""

BLOCKING = """
from pyodide.ffi import create_once_callable

outcome = asyncio.Future()
def run(*_):
    try: outcome.set_result(len(Client.in_browser(session_of=client).get(files + '/big').content))
    except Unreachable as error: outcome.set_result(type(error).__name__)
    except Exception as error: outcome.set_exception(error)
js.setTimeout(create_once_callable(run), 0)
await outcome
"""


@pytest.fixture(scope="module")
def browser_library(context_of: ContextFactory, serve: ServerFactory) -> Library:
    """The library in a page, started once; each test opens a new client."""
    return Library(context_of(serve().url).new_page())


@pytest.fixture
def context(browser_library: Library) -> BrowserContext:
    """The browser context of the page."""
    return browser_library.page.context


@pytest.fixture(scope="module")
def running() -> Iterator[DownloadServer]:
    with DownloadServer() as server:
        yield server


@pytest.fixture
def server(running: DownloadServer) -> DownloadServer:
    running.reset()
    return running


@pytest.fixture
def library(
    browser_library: Library, watch: Watch, server: DownloadServer, browser_name: str
) -> Library:
    """The library, signed in; ``files`` is the address of the server, which may see the token."""
    watch.admit(server.url)
    if browser_name == "chromium":  # To it, a page that a test has made up is from elsewhere.
        browser_library.page.context.grant_permissions(["local-network-access"])
    browser_library.reset()
    browser_library.run(f"{DEFINITIONS}\nfiles = {server.url!r} + '/api'\nNone")
    browser_library.run("client.close()\nopen_client(token_origins=(files[:-4],))\nNone")
    browser_library.sign_in()
    return browser_library


def test_a_stream_is_read_while_it_arrives_and_its_token_renewed_before(
    library: Library, server: DownloadServer
) -> None:
    """The first attempt is refused; the second sends its end only when its beginning was read."""
    was_read = threading.Event()

    def send_in_two(handler: Handler) -> None:
        if len(server.tokens("/api/big")) == 1:
            token_expired(handler)
            return
        handler.start(200, content_type="text/plain; charset=iso-8859-1")
        handler.write("größe\r".encode("latin-1"))
        assert was_read.wait(TIMEOUT)
        handler.write(b"\nend")

    def note(handler: Handler) -> None:
        was_read.set()
        handler.start(204)

    server.behaviours |= {"/api/big": send_in_two, "/api/read": note}
    lines = library.run(
        "async with client.stream('GET', files + '/big') as stream:\n"
        "    texts = stream.aiter_text()\n"
        "    first = await anext(texts)\n"
        "    await client.get(files + '/read')\n"
        "    rest = [text async for text in texts]\n"
        "[first, *rest, stream.status_code]"
    )
    assert lines == ["größe\r", "\nend", 200]
    first, second = server.tokens("/api/big")
    assert first != second
    assert second == f"Bearer {library.record['accessToken']}"


def test_leaving_a_stream_aborts_the_download(library: Library, server: DownloadServer) -> None:
    """The server sees the connection go."""
    is_gone = threading.Event()

    def send_until_gone(handler: Handler) -> None:
        handler.start(200, content_length="1000000")
        handler.write("a" * 1000)
        handler.wait_for_hang_up()
        is_gone.set()

    server.behaviours["/api/big"] = send_until_gone
    read = library.run(
        "async with client.stream('GET', files + '/big') as stream:\n"
        "    async for piece in stream.aiter_bytes(500): break\n"
        "[len(piece), stream.num_bytes_downloaded]"
    )
    assert read == [500, 1000]
    assert is_gone.wait(TIMEOUT)


def breaking_off(size: int) -> Callable[[Handler], None]:
    """Send half of a body."""

    def respond(handler: Handler) -> None:
        handler.start(200, content_length=str(size))
        handler.write("a" * (size // 2))

    return respond


@pytest.mark.parametrize("size", [1_000, 1_000_000])
def test_a_body_that_breaks_off_is_unreachable(
    library: Library, server: DownloadServer, size: int, watch: Watch
) -> None:
    """Small bodies are read at once, large ones in pieces; neither is cut off in silence."""
    server.behaviours["/api/big"] = breaking_off(size)
    outcome = library.run(
        "async with client.stream('GET', files + '/big') as stream:\n"
        "    outcome = [stream.status_code, await failure(stream.aread())]\n"
        "outcome"
    )
    assert outcome == [200, "Unreachable"]
    watch.forgive("Failed to load resource", "loopback")  # Chromium's own next attempt.


def test_a_body_that_breaks_off_is_unreachable_for_a_call_that_blocks(
    library: Library, server: DownloadServer, watch: Watch
) -> None:
    """Not every browser says so of an XMLHttpRequest."""
    server.behaviours["/api/big"] = breaking_off(1_000_000)
    assert library.run(BLOCKING) == "Unreachable"
    watch.forgive("Failed to load resource", "loopback", "Synchronous XMLHttpRequest")


def test_a_body_that_stands_still_is_unreachable_and_aborted(
    library: Library, server: DownloadServer
) -> None:
    """The timeout bounds the silence; a download that keeps moving may take longer."""
    is_gone, moving = threading.Event(), threading.Event()

    def stand_still(handler: Handler) -> None:
        handler.start(200, content_length="1000000")
        handler.write("a" * 1000)
        handler.wait_for_hang_up()
        is_gone.set()

    def keep_moving(handler: Handler) -> None:
        handler.start(200)
        for _ in range(12):
            handler.write("a")
            moving.wait(0.25)

    server.behaviours |= {"/api/stuck": stand_still, "/api/slow": keep_moving}
    assert library.run("await failure(client.get(files + '/stuck', timeout=0.2))") == "Unreachable"
    assert is_gone.wait(TIMEOUT)
    assert library.run("(await client.get(files + '/slow', timeout=2)).text") == "a" * 12


def test_progress_of_a_download(library: Library, server: DownloadServer) -> None:
    """Its total is known from Content-Length; the last call has all bytes."""

    def send(size: int, **headers: str) -> None:
        def behaviour(handler: Handler) -> None:
            handler.start(200, **headers)
            handler.write("a" * size)

        server.behaviours[f"/api/{size}"] = behaviour

    send(10, content_length="10")
    send(3_000_000, content_length="3000000")
    send(20)
    seen = library.run(
        "seen = {}\n"
        "for size in (10, 3_000_000, 20):\n"
        "    calls = seen[size] = []\n"
        "    note = lambda *call, calls=calls: calls.append(call)\n"
        "    await client.get(f'{files}/{size}', download_progress=note)\n"
        "seen"
    )
    assert seen["10"] == [[10, 10]]
    assert seen["20"] == [[20, None]]
    counts = [count for count, _ in seen["3000000"]]
    assert counts == sorted(counts)
    assert len(counts) > 1
    assert seen["3000000"][-1] == [3_000_000, 3_000_000]


def test_events_reconnect_with_the_last_id_and_a_fresh_token(
    library: Library, server: DownloadServer
) -> None:
    """One connection ends, one is refused by an expired token, one is left by the caller."""
    is_gone = threading.Event()

    def send_events(handler: Handler) -> None:
        served = len(server.tokens("/api/feed"))
        if served == 2:
            token_expired(handler)
            return
        handler.start(200, content_type="text/event-stream")
        handler.write(f"retry: 10\nid: {served}\nevent: count\ndata: {served}\n\ndata: lost\n")
        if served == 3:
            handler.wait_for_hang_up()
            is_gone.set()

    server.behaviours["/api/feed"] = send_events
    events = library.run(
        "found = []\n"
        "async for event in client.events(files + '/feed'):\n"
        "    found.append([event.event, event.data, event.id])\n"
        "    if len(found) == 2: break\n"
        "del event\n"
        "found"
    )
    assert events == [["count", "1", "1"], ["count", "3", "3"]]
    assert is_gone.wait(TIMEOUT)
    first, second, third = server.tokens("/api/feed")
    assert first == second != third
    ids = [headers.get("last-event-id") for path, headers in server.served if path == "/api/feed"]
    assert ids == [None, "1", "1"]
    assert {headers["accept"] for path, headers in server.served if path == "/api/feed"} == {
        "text/event-stream"
    }


def test_a_sync_stream_waits_for_each_piece(library: Library, server: DownloadServer) -> None:
    """Where the engine can wait (JSPI), with the same lines; events as well, until they end."""

    def send(handler: Handler) -> None:
        handler.start(200, content_type="text/event-stream")
        handler.write("data: a\n\n")

    server.behaviours["/api/feed"] = send
    found = library.run(
        "sync = Client.in_browser(session_of=client)\n"
        "found = []\n"
        "with sync.stream('GET', files + '/feed') as stream:\n"
        "    found.append(list(stream.iter_lines()))\n"
        "try:\n"
        "    for event in sync.events(files + '/feed'): found.append(event.data)\n"
        "except Unreachable as error: found.append(type(error).__name__)\n"
        "found"
    )
    assert found == [["data: a", ""], "a", "Unreachable"]
