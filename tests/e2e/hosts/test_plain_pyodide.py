"""``in_browser()`` in each place where plain Pyodide runs: a page, workers, Node.js."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.e2e.hosts.conftest import PAGES, verify
from tests.e2e.hosts.pyodide_folder import PYODIDE
from tests.support.server_process import ServerProcess

SECONDS = 120
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


def tell(contexts: dict[str, BrowserContext]) -> dict[str, Any]:
    """Open each host's page, and return what each shows when it is done."""
    pages: dict[str, Page] = {}
    for host, context in contexts.items():
        pages[host] = context.new_page()
        pages[host].goto(f"/?host={host}")
    shown: dict[str, Any] = {}
    for host, page in pages.items():
        expect(page.locator("html")).to_have_attribute("data-ready", "true", timeout=SECONDS * 1000)
        text = page.locator("body").inner_text()
        shown[host] = json.loads(text) if text.startswith("{") else {"failed": text}
        page.close()
    return shown


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
    node = shutil.which("node")
    assert node
    command = [node, PAGES / "node.mjs", PYODIDE, api.url, PAGES / "story.py", *wheels]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)  # noqa: S603
    assert done.returncode == 0, done.stderr[-2000:]  # Before it, there are Pyodide's long lines.
    result = json.loads(done.stdout.splitlines()[-1])
    notes = ["the browser's storage cannot be used: the session is kept in memory"]
    verify(result, store="MemoryStore", lock="LocalLock", notes=notes)
