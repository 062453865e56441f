"""Several tabs of one browser, behind a proxy that fails on request."""

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

TABS = 5


@pytest.fixture(scope="session")
def proxied(serve: ServerFactory) -> Iterator[HTTPProxy]:
    """The proxy in front of the server, started once."""
    proxy = HTTPProxy(serve().url)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def all_tabs(context_of: ContextFactory, proxied: HTTPProxy) -> list[Library]:
    """Tabs with the library, started once."""
    context = context_of(proxied.url)
    return [Library(context.new_page()) for _ in range(TABS)]


@pytest.fixture
def context(all_tabs: list[Library]) -> BrowserContext:
    """The browser context of the tabs, which stay open from test to test."""
    return all_tabs[0].page.context


@pytest.fixture
def proxy(proxied: HTTPProxy) -> HTTPProxy:
    """The proxy, without faults."""
    proxied.clear()
    return proxied


@pytest.fixture
def watch(context: BrowserContext, proxy: HTTPProxy) -> Iterator[Watch]:
    """Records what all tabs send; fails at the end if one logged an error."""
    with Watch(context, proxy.url) as watch:
        yield watch
    watch.verify()


def wait_for_storage_of(writer: Library, tab: Library) -> None:
    """Wait until a tab sees what another stored: each has a copy, which lags behind."""
    expected = writer.record
    until(lambda: tab.record == expected)


@pytest.fixture
def tabs(all_tabs: list[Library], proxy: HTTPProxy, watch: Watch) -> Iterator[list[Library]]:
    """All tabs, signed in to one session; requests and events so far are forgotten."""
    for tab in all_tabs:
        tab.reset()
    all_tabs[0].sign_in()
    for tab in all_tabs[1:]:
        wait_for_storage_of(all_tabs[0], tab)
        tab.run("client.wake()")
    for tab in all_tabs:
        tab.run("events.clear()")
    proxy.clear()
    watch.sent.clear()
    yield all_tabs
    proxy.clear()
    for tab in all_tabs:
        tab.run("client.close()")


@pytest.fixture
def tab(tabs: list[Library]) -> Library:
    """One tab, signed in."""
    return tabs[0]


@pytest.fixture
def outdated(tab: Library, tabs: list[Library], backend: ServerProcess) -> Library:
    """One tab whose access token has expired without the client knowing; so have the others'."""
    token = backend.expired(tab.record["accessToken"])
    tab.reopen(accessToken=token)
    for other in tabs[1:]:
        wait_for_storage_of(tab, other)
        other.reopen()
    return tab


@pytest.fixture
def only_tab(tab: Library, tabs: list[Library]) -> Library:
    """One tab, signed in; no other tab still knows the session."""
    for other in tabs[1:]:
        other.run("client.close()\nopen_client(storage='memory')\nNone")
    return tab
