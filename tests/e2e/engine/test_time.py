"""Clocks that are wrong, machines that sleep, pages that nobody looks at."""

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


def test_a_page_that_is_seen_again_after_an_hour_refreshes_once(
    tab: Library, proxy: HTTPProxy, watch: Watch
) -> None:
    """Hidden, it does nothing though its token expires; seen again, it renews before any 401."""
    tab.page.evaluate(HIDE)
    tab.reopen(expiresAt=time.time() - HOUR)
    tab.run("await client.ready()\nNone")
    assert tab.run("client.expires_in") == 0
    assert proxy.count(REFRESH) == 0
    tab.page.evaluate(SHOW)
    until(lambda: tab.run("[event[0] for event in events]") == ["refreshed"])
    assert tab.run(GET_ME) == 200
    assert proxy.count(REFRESH) == 1
    assert 401 not in [answer.status for answer in watch.answers]


def test_a_machine_that_wakes_before_its_network_stays_signed_in(
    tab: Library, proxy: HTTPProxy
) -> None:
    """Awake, but cut off for some seconds yet: the refresh is tried again until it succeeds."""
    tab.page.evaluate(HIDE)
    tab.reopen(expiresAt=time.time() - HOUR)
    tab.run("await client.ready()\nNone")
    proxy.respond("/api/refresh", 502, times=2)
    tab.page.evaluate(SHOW)
    until(lambda: tab.run("client.state") == "active" and proxy.count(REFRESH) == 3)
    assert tab.run("[event[0] for event in events]") == ["degraded", "refreshed", "recovered"]


@pytest.mark.parametrize("skew", [-HOUR, HOUR])
def test_a_wrong_device_clock_costs_no_refresh(tab: Library, proxy: HTTPProxy, skew: int) -> None:
    """With the device's clock an hour off, a fresh token is neither expired nor immortal."""
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
    """A wait beyond what a browser's timer can hold (2^31 ms) does not end at once."""
    month = 30 * 24 * HOUR
    tab.reopen(expiresAt=time.time() + month, lifetime=month)
    tab.run("await client.ready()\nNone")
    assert [tab.run(GET_ME) for _ in range(3)] == [200] * 3
    assert tab.run("client.refresh_in") > month - 100
    assert proxy.count(REFRESH) == 0


def test_focus_and_blur_change_nothing(tab: Library, proxy: HTTPProxy) -> None:
    """Looking away and back ten times makes no refresh and no event."""
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
    """With 61 seconds left nothing happens; with 59 it is renewed before any 401."""
    tab.reopen(expiresAt=time.time() + left + 0.5 * (left > 60), lifetime=900)
    assert tab.run(GET_ME) == 200
    assert proxy.count(REFRESH) == refreshes
    assert 401 not in [answer.status for answer in watch.answers]


def test_a_token_that_lives_for_a_minute_is_not_refreshed_in_a_loop(
    tab: Library, proxy: HTTPProxy
) -> None:
    """The margin is capped at a quarter of the life, so that a fresh short token is not due."""
    tab.reopen(expiresAt=time.time() + 60, lifetime=60)
    tab.run("await client.ready()\nNone")
    assert [tab.run(GET_ME) for _ in range(3)] == [200] * 3
    assert proxy.count(REFRESH) == 0


def test_the_page_refreshes_ahead_of_need_without_a_call(tab: Library, proxy: HTTPProxy) -> None:
    """A page that is looked at renews its token by itself."""
    tab.reopen(expiresAt=time.time() + 2, lifetime=4)
    tab.run("await client.ready()\nNone")
    until(lambda: proxy.count(REFRESH) == 1)
    assert proxy.count(ME) == 0
