"""Several tabs of one browser, behind a proxy that fails on demand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext

from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory
from tests.e2e.engine.helpers import until
from tests.e2e.watch import Watch
from tests.support.proxy import HTTPProxy
from tests.support.server_process import ServerProcess

CREW = 5


@pytest.fixture(scope="session")
def proxied(serve: ServerFactory) -> Iterator[HTTPProxy]:
    """The server behind a proxy."""
    proxy = HTTPProxy(serve().url)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def crew(context_of: ContextFactory, proxied: HTTPProxy) -> list[Library]:
    """Some tabs with the library, started once."""
    context = context_of(proxied.url)
    return [Library(context.new_page()) for _ in range(CREW)]


@pytest.fixture
def context(crew: list[Library]) -> BrowserContext:
    """The browser of the tabs, which stay open from test to test."""
    return crew[0].page.context


@pytest.fixture
def proxy(proxied: HTTPProxy) -> HTTPProxy:
    """The proxy, passing everything on."""
    proxied.clear()
    return proxied


@pytest.fixture
def watch(context: BrowserContext, proxy: HTTPProxy) -> Iterator[Watch]:
    """A watch on all the tabs, which must end without a complaint."""
    with Watch(context, proxy.url) as watch:
        yield watch
    watch.verify()


def catch_up(tab: Library, leader: Library) -> None:
    """Wait until a tab sees what another stored: each has a view of its own, which lags behind."""
    expected = leader.record
    until(lambda: tab.record == expected)


@pytest.fixture
def tabs(crew: list[Library], proxy: HTTPProxy, watch: Watch) -> Iterator[list[Library]]:
    """All the tabs, signed in to one session; nothing before this counts."""
    for tab in crew:
        tab.start_anew()
    crew[0].sign_in()
    for tab in crew[1:]:
        catch_up(tab, crew[0])
        tab.run("client.wake()")
    for tab in crew:
        tab.run("events.clear()")
    proxy.clear()
    watch.sent.clear()
    yield crew
    proxy.clear()
    for tab in crew:
        tab.run("client.close()")


@pytest.fixture
def tab(tabs: list[Library]) -> Library:
    """One tab, signed in."""
    return tabs[0]


@pytest.fixture
def outdated(tab: Library, tabs: list[Library], backend: ServerProcess) -> Library:
    """One tab whose access token has expired, which only the server knows; so have the others'."""
    token = backend.expired(tab.record["accessToken"])
    tab.reopen(accessToken=token)
    for other in tabs[1:]:
        catch_up(other, tab)
        other.reopen()
    return tab
