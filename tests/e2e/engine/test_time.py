"""Wrong clocks, sleeping machines and hidden pages."""

from __future__ import annotations

import time

import pytest

from tests.e2e.browser_library import Library
from tests.e2e.engine.helpers import GET_ME, ME, REFRESH, until
from tests.e2e.watch import Watch
from tests.support.proxy import HTTPProxy

HOUR = 3600
HIDE = "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true})"
SHOW = "delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))"


def test_a_page_shown_again_after_an_hour_refreshes_once(
    tab: Library, proxy: HTTPProxy, watch: Watch
) -> None:
    """It refreshes nothing while it is hidden; once shown, it refreshes before any 401."""
    tab.page.evaluate(HIDE)
    tab.reopen(expiresAt=time.time() - HOUR)
    tab.run("await client.ready()\nNone")
    assert tab.run("client.expires_in") == 0
    assert proxy.count(REFRESH) == 0
    tab.page.evaluate(SHOW)
    until(lambda: tab.run("[event[0] for event in events]") == ["refreshed"])
    assert tab.run(GET_ME) == 200
    assert proxy.count(REFRESH) == 1
    assert 401 not in [response.status for response in watch.answers]


def test_a_machine_that_wakes_before_its_network_retries_the_refresh(
    tab: Library, proxy: HTTPProxy
) -> None:
    """The session stays, and the refresh is retried until it succeeds."""
    tab.page.evaluate(HIDE)
    tab.reopen(expiresAt=time.time() - HOUR)
    tab.run("await client.ready()\nNone")
    proxy.respond("/api/refresh", 502, times=2)
    tab.page.evaluate(SHOW)
    until(lambda: tab.run("client.state") == "active" and proxy.count(REFRESH) == 3)
    assert tab.run("[event[0] for event in events]") == ["degraded", "refreshed", "recovered"]


@pytest.mark.parametrize("skew", [-HOUR, HOUR])
def test_a_wrong_device_clock_causes_no_refresh(tab: Library, proxy: HTTPProxy, skew: int) -> None:
    """With the clock an hour off, the remaining life of a new token is still right."""
    tab.page.evaluate(f"window.right = Date.now; Date.now = () => right() + {skew * 1000}")
    try:
        tab.sign_in()
        proxy.clear()
        tab.run("await client.ready()\nNone")
        assert [tab.run(GET_ME) for _ in range(3)] == [200] * 3
        assert abs(tab.record["skew"] + skew) < 10
        assert 800 < tab.run("client.expires_in") <= 900
        assert proxy.count(REFRESH) == 0
    finally:
        tab.page.evaluate("Date.now = right")


def test_a_token_of_thirty_days_is_not_refreshed_in_a_loop(tab: Library, proxy: HTTPProxy) -> None:
    """A wait of more than 2^31 ms, which a browser's timer cannot hold, does not end at once."""
    month = 30 * 24 * HOUR
    tab.reopen(expiresAt=time.time() + month, lifetime=month)
    tab.run("await client.ready()\nNone")
    assert [tab.run(GET_ME) for _ in range(3)] == [200] * 3
    assert tab.run("client.refresh_in") > month - 100
    assert proxy.count(REFRESH) == 0


def test_focus_and_blur_cause_no_refresh(tab: Library, proxy: HTTPProxy) -> None:
    """Ten changes of focus cause no refresh and no event."""
    tab.run("await client.ready()\nNone")
    for _ in range(10):
        tab.page.evaluate(f"{HIDE}; dispatchEvent(new Event('blur'))")
        tab.page.evaluate(f"{SHOW}; dispatchEvent(new Event('focus'))")
    assert tab.run(GET_ME) == 200
    assert (proxy.count(REFRESH), proxy.count(ME), tab.run("events")) == (0, 1, [])


@pytest.mark.parametrize(("left", "refreshes"), [(61, 0), (59, 1)])
def test_a_token_is_refreshed_a_minute_ahead(
    tab: Library, proxy: HTTPProxy, watch: Watch, left: int, refreshes: int
) -> None:
    """With 61 seconds left nothing is refreshed; with 59 it is, before any 401."""
    tab.reopen(expiresAt=time.time() + left + 0.5 * (left > 60), lifetime=900)
    assert tab.run(GET_ME) == 200
    assert proxy.count(REFRESH) == refreshes
    assert 401 not in [response.status for response in watch.answers]


def test_a_token_that_lives_for_a_minute_is_not_refreshed_in_a_loop(
    tab: Library, proxy: HTTPProxy
) -> None:
    """The margin is at most a quarter of the life, so a new token is not due."""
    tab.reopen(expiresAt=time.time() + 60, lifetime=60)
    tab.run("await client.ready()\nNone")
    assert [tab.run(GET_ME) for _ in range(3)] == [200] * 3
    assert proxy.count(REFRESH) == 0


def test_a_visible_page_refreshes_ahead_without_a_call(tab: Library, proxy: HTTPProxy) -> None:
    """The token is refreshed before it expires."""
    tab.reopen(expiresAt=time.time() + 2, lifetime=4)
    tab.run("await client.ready()\nNone")
    until(lambda: proxy.count(REFRESH) == 1)
    assert proxy.count(ME) == 0
