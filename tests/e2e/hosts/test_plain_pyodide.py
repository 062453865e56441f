"""``in_browser()`` in each place where plain Pyodide runs: a page, workers, Node.js."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Route

from tests.e2e.hosts.conftest import PAGES, SECONDS, tell, verify
from tests.e2e.hosts.pyodide_folder import PYODIDE
from tests.support.server_process import ServerProcess

STORES = {
    "page": "WebStore",
    "module": "IndexedDBStore",
    "blob": "IndexedDBStore",
    "shared": "IndexedDBStore",
}
"""Where each host keeps the session."""


@pytest.fixture(scope="module")
def contexts(browser: Browser, api: ServerProcess) -> Iterator[dict[str, BrowserContext]]:
    """A browser context for each host, all of which have told their story at the same time."""
    opened = {host: browser.new_context(base_url=api.url) for host in STORES}
    yield opened
    for context in opened.values():
        context.close()


@pytest.fixture(scope="module")
def first(contexts: dict[str, BrowserContext]) -> dict[str, Any]:
    """The story in each host that was never there before."""
    return tell(contexts)


@pytest.fixture(scope="module")
def second(contexts: dict[str, BrowserContext], first: dict[str, Any]) -> dict[str, Any]:
    """The story in each host that was there, after a reload."""
    assert first
    return tell(contexts)


@pytest.mark.parametrize("host", STORES)
def test_a_session_outlives_its_tokens(first: dict[str, Any], host: str) -> None:
    """It signs in, crosses two expiries, and no call fails; nothing is complained of."""
    verify(first[host], store=STORES[host], lock="WebLock" if host == "page" else "SharedLock")
    assert first[host]["at_start"] == "anonymous"
    assert first[host]["events"] == ["refreshed", "signed_in"]


@pytest.mark.parametrize("host", STORES)
def test_a_session_survives_a_reload(second: dict[str, Any], host: str) -> None:
    """The stored session goes on, which is no event."""
    verify(second[host], store=STORES[host], lock="WebLock" if host == "page" else "SharedLock")
    assert second[host]["at_start"] == "active"
    assert second[host]["events"] == ["refreshed"]


def test_workers_of_one_origin_share_a_session(browser: Browser, api: ServerProcess) -> None:
    """Each sees the other sign in, refresh and sign out; an emptied database signs both out."""
    with browser.new_context(base_url=api.url) as context:
        told = tell({"module": context}, "two_clients")["module"]
    assert told == {
        "events": ["signed_in", "refreshed"],
        "shared": True,
        "status": 200,
        "emptied": ["NotSignedIn", "NotSignedIn"],
        "afterwards": 200,
    }


def test_sync_code_in_a_worker_finds_the_stored_session(
    browser: Browser, api: ServerProcess
) -> None:
    """Where the engine can wait for a promise, as Chromium can."""
    with browser.new_context(base_url=api.url) as context:
        told = tell({"module": context}, "sync_client")["module"]
    assert told == {"status": 200, "second": 200}


def test_where_everything_is_denied_a_session_lives_until_the_page_closes(
    browser: Browser, api: ServerProcess
) -> None:
    """A sandboxed page has storage, IndexedDB and Web Locks by name; their use is denied."""
    with browser.new_context(base_url=api.url) as context:
        context.route("**", _sandboxed)
        told = tell({"page": context})["page"]
    notes = [
        "the browser's storage cannot be used: the session is kept in memory",
        "Web Locks cannot be used (SecurityError): each tab has its own",
    ]
    verify(told, store="MemoryStore", lock="WebLock", notes=notes)


def _sandboxed(route: Route) -> None:
    """Take the page's origin away, and let it load its files and call the API all the same."""
    headers = {name: text for name, text in route.request.headers.items() if name != "origin"}
    response = route.fetch(headers=headers)
    sandbox = {
        "access-control-allow-origin": "*",
        "content-security-policy": "sandbox allow-scripts",
        "cross-origin-resource-policy": "cross-origin",
    }
    route.fulfill(response=response, headers={**response.headers, **sandbox})


def test_node_keeps_a_session_in_memory_and_says_so(api: ServerProcess, wheels: list[Path]) -> None:
    """There is no storage and no location, so one warning, and ``base_url`` is needed."""
    notes = ["the browser's storage cannot be used: the session is kept in memory"]
    result = json.loads(run_in_node("story", api.url, *wheels))
    verify(result, store="MemoryStore", lock="LocalLock", notes=notes)


def test_a_missing_library_for_synchronous_requests_is_named(
    api: ServerProcess, wheels: list[Path]
) -> None:
    """The library is imported without it; only the request needs it."""
    sentence = run_in_node("sync_story", api.url, wheels[0])
    assert 'micropip.install("pyodide-http")' in sentence


def run_in_node(function: str, url: str, *wheels: Path) -> str:
    """Call a function of the story in Node.js; return its text."""
    node = shutil.which("node")
    assert node
    command = [node, PAGES / "node.mjs", function, PYODIDE, url, *wheels]
    done = subprocess.run(  # noqa: S603 - our own words
        [*map(str, command)], stdout=subprocess.PIPE, text=True, check=True, timeout=SECONDS
    )
    return str(done.stdout).splitlines()[-1]
