"""What a session is bound to where the device's clock is wrong, or the browser keeps no key."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory
from tests.e2e.watch import Watch
from tests.support.server_process import ServerProcess

HOUR = 3600
DAY = 24 * HOUR
LOGIN, REFRESH = "POST /api/login", "POST /api/refresh"
REFRESHED = "await client.refresh()\nclient.diagnose()['bound']"
INSECURE = "http://insecure.example"
NO_DATABASE = "Object.defineProperty(window, 'indexedDB', { value: undefined })"
WRONG = "skew => { window.right ??= Date.now; Date.now = () => right() + skew * 1000; }"


@pytest.fixture(scope="session")
def browser_library(context_of: ContextFactory, serve: ServerFactory) -> Library:
    """The library in a page, started once; each test opens a new client."""
    return Library(context_of(serve().url).new_page())


@pytest.fixture
def context(browser_library: Library) -> BrowserContext:
    """The browser context of the page."""
    return browser_library.page.context


@pytest.mark.parametrize("skew", [-DAY, -HOUR, HOUR, DAY])
def test_a_wrong_clock_costs_one_round_trip(
    browser_library: Library, watch: Watch, skew: int
) -> None:
    """At the sign-in; refreshes are proved at once, after somebody has set the clock right too."""
    library = browser_library
    library.page.evaluate(WRONG, skew)
    library.reset()
    library.sign_in()
    assert [it.status for it in watch.answers if it.path == "/api/login"] == [401, 200]
    assert library.run(REFRESHED) is True
    library.page.evaluate(WRONG, 0)
    assert library.run(REFRESHED) is True
    answers = [it.status for it in watch.answers if it.path == "/api/refresh"]
    assert set(answers) == {200}
    assert len(answers) == watch.count(REFRESH)
    assert library.run("[event[0] for event in events if event[0] != 'refreshed']") == ["signed_in"]


@pytest.mark.parametrize("lack", ["HTTPS", "IndexedDB"])
def test_a_browser_that_keeps_no_key_signs_in_without(
    page: Page, watch: Watch, backend: ServerProcess, lack: str
) -> None:
    """The session works and says why nothing binds it."""
    address = "/library.html"
    if lack == "HTTPS":
        watch.admit(INSECURE)
        page.route(f"{INSECURE}/**", lambda route: forward(route, backend.url))
        address = INSECURE + address
    else:
        page.add_init_script(NO_DATABASE)
    library = Library(page, address)
    assert page.evaluate("isSecureContext") == (lack != "HTTPS")
    library.run("open_client()\nNone")
    library.sign_in()
    assert library.run(REFRESHED) is False
    assert lack.lower() in library.run("client.diagnose()['dpop']").lower()
    assert [it.headers.get("dpop") for it in watch.calls(LOGIN)] == [None]
    assert "key" not in library.record
    watch.forgive("this browser keeps no key", "reading 'open'")  # The second is PyScript's own.


def forward(route: Route, home: str) -> None:
    """Get an answer of the server for a page that it has without HTTPS."""
    url = urlsplit(route.request.url)
    route.fulfill(response=route.fetch(url=f"{home}{url.path}"))
