"""Calls that need a proof each (``DPOP=all``), in each way that a page makes them."""

import pytest
from playwright.sync_api import BrowserContext

from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory
from tests.e2e.watch import Sent, Watch
from tests.support.provers import read_proof
from tests.support.server_process import ServerProcess

NOTE, NOTES, REFRESH = "POST /api/notes", "GET /api/notes", "POST /api/refresh"
TYPED = "json={'text': 'proved'}"
WAYS = {
    "fetch": f"(await client.post('/api/notes', {TYPED})).status_code",
    "an upload with its progress": (
        f"(await client.post('/api/notes', {TYPED}, upload_progress=lambda *_: None)).status_code"
    ),
    "a stream": (
        f"async with client.stream('POST', '/api/notes', {TYPED}) as stream:\n"
        "    text = await stream.aread()\n"
        "stream.status_code"
    ),
    "a call that blocks": (
        "from unexpired import Client\n"
        f"Client.in_browser(session_of=client).post('/api/notes', {TYPED}).status_code"
    ),
}


@pytest.fixture
def settings() -> dict[str, float | str]:
    return {"dpop": "all"}


@pytest.fixture(scope="session")
def browser_library(context_of: ContextFactory, serve: ServerFactory) -> Library:
    """The library in a page, started once; each test opens a new client."""
    return Library(context_of(serve(dpop="all").url).new_page())


@pytest.fixture
def context(browser_library: Library) -> BrowserContext:
    """The browser context of the page."""
    return browser_library.page.context


@pytest.fixture
def library(browser_library: Library, watch: Watch) -> Library:
    """The library, signed in; requests so far are forgotten."""
    browser_library.reset()
    browser_library.sign_in()
    assert browser_library.record["scheme"] == "DPoP"
    watch.sent.clear()
    return browser_library


def expire(library: Library, backend: ServerProcess) -> None:
    """Replace the token by one that has expired, without the client knowing."""
    library.reopen(accessToken=backend.expired(library.record["accessToken"]))


def ids(requests: list[Sent]) -> set[str]:
    """Return the ids of the proofs of requests, each of which has one."""
    return {read_proof(sent.headers["dpop"]).claims["jti"] for sent in requests}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_call_brings_a_proof_and_a_new_one_after_a_refresh(
    library: Library, watch: Watch, backend: ServerProcess, way: str
) -> None:
    assert library.run(WAYS[way]) == 201
    assert [sent.call for sent in watch.sent] == [NOTE]
    watch.sent.clear()
    expire(library, backend)
    assert library.run(WAYS[way]) == 201
    assert [sent.call for sent in watch.sent] == [NOTE, REFRESH, NOTE]
    assert len(ids(watch.sent)) == 3


def test_a_hundred_parallel_calls_share_one_refresh_and_no_proof(
    library: Library, watch: Watch, backend: ServerProcess
) -> None:
    """All of them find the token expired; each proof can be used once."""
    expire(library, backend)
    calls = "await asyncio.gather(*(outcome(client.get('/api/notes')) for _ in range(100)))"
    assert library.run(calls) == [200] * 100
    assert watch.count(REFRESH) == 1
    sent = watch.calls(NOTES)
    assert len(ids(sent)) == len(sent)
