"""``in_browser()`` in a real JupyterLite: Python in a worker, whose address is its script's."""

import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Browser, BrowserContext

from tests.e2e.hosts.conftest import PAGES, SECONDS, verify


def tell(context: BrowserContext, address: str) -> dict[str, Any]:
    """Run the story in a new notebook; return what it prints."""
    code = f"{(PAGES / 'story.py').read_text()}\nprint(await story())"
    page = context.new_page()
    page.goto(f"{address}?{urlencode({'kernel': 'python', 'code': code})}")
    printed = page.locator(".jp-OutputArea-output", has_text="}").first
    printed.wait_for(timeout=SECONDS * 1000)
    result: dict[str, Any] = json.loads(printed.inner_text())
    page.close()
    return result


def test_a_session_in_a_notebook_outlives_its_tokens_and_the_page(
    browser: Browser, lite: str
) -> None:
    """It is kept in IndexedDB; nothing is redirected, and nothing is loaded from elsewhere."""
    asked: set[str] = set()
    with browser.new_context() as context:
        context.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        first, second = tell(context, lite), tell(context, lite)
    for result in (first, second):
        verify(result, store="IndexedDBStore", lock="SharedLock")
    assert (first["at_start"], second["at_start"]) == ("anonymous", "active")
    assert second["events"] == ["refreshed"]
    assert asked <= {urlsplit(lite).netloc, ""}  # Blobs have none.
