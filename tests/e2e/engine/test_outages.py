"""Servers and networks that fail; sessions that do not."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.browser_library import Library
from tests.e2e.engine.helpers import GET_ME, ME, REFRESH, until
from tests.support.proxy import HTTPProxy

UNAVAILABLE = {"error": "Later.", "code": "UNAVAILABLE"}
REFUSED = {"error": "No.", "code": "REFRESH_EXPIRED"}


def due(tab: Library, *, left: float, life: float = 100, options: str = "") -> None:
    """Let the access token expire in so many seconds, as far as the device can tell."""
    tab.reopen(expiresAt=time.time() + left, lifetime=life, options=options)


def names(tab: Library) -> list[str]:
    """The names of the events of a tab's client so far."""
    return [event[0] for event in tab.run("events")]


def test_one_failed_refresh_is_not_noticed(outdated: Library, proxy: HTTPProxy) -> None:
    """A refresh that fails once is tried again, and the caller sees the 200."""
    proxy.respond("/api/refresh", 503, UNAVAILABLE, times=1)
    assert outdated.run(GET_ME) == 200
    assert proxy.count(REFRESH) == 2
    assert names(outdated) == ["degraded", "refreshed", "recovered"]


def test_while_refresh_is_down_a_good_token_goes_on_working(tab: Library, proxy: HTTPProxy) -> None:
    """Calls with a token that is still good succeed, and the trouble is told once."""
    proxy.respond("/api/refresh", 503, UNAVAILABLE)
    due(tab, left=20)
    assert [tab.run(GET_ME) for _ in range(5)] == [200] * 5
    assert names(tab) == ["degraded"]
    assert tab.run("client.state") == "degraded"


def test_nothing_is_sent_before_the_servers_retry_after(
    outdated: Library, proxy: HTTPProxy
) -> None:
    """A 429 signs nobody out, and its Retry-After is obeyed even when the network comes back."""
    proxy.respond("/api/refresh", 429, {"code": "RATE_LIMITED"}, times=1, retry_after="2")
    outdated.run(f"task = asyncio.ensure_future({GET_ME.removeprefix('await ')})\nNone")
    until(lambda: proxy.count(REFRESH) == 1)
    outdated.page.evaluate("dispatchEvent(new Event('online'))")
    assert outdated.run("await task") == 200
    first, second = proxy.calls(REFRESH)
    assert second.at - first.at >= 2


def test_after_a_refusal_the_token_is_used_to_its_real_end(tab: Library, proxy: HTTPProxy) -> None:
    """Refused with some seconds left: calls succeed until the end, then the session ends once."""
    proxy.respond("/api/refresh", 401, REFUSED)
    due(tab, left=3, life=12)
    end = tab.record["expiresAt"]
    tab.run("await client.ready()\nNone")
    assert tab.run(GET_ME) == 200
    until(lambda: "expired" in names(tab))
    assert time.time() >= end - 0.1
    assert names(tab).count("expired") == 1
    assert (proxy.count(REFRESH), tab.record) == (1, {})


def test_fifty_calls_in_an_outage_share_each_try(outdated: Library, proxy: HTTPProxy) -> None:
    """During an outage refreshes go one at a time, with a pause after each."""
    outdated.reopen(options="refresh_timeout=3")
    proxy.respond("/api/refresh", 500)
    calls = "await asyncio.gather(*(outcome(client.get('/api/me')) for _ in range(50)))"
    assert outdated.run(calls) == ["Unreachable"] * 50
    times = [call.at for call in proxy.calls(REFRESH)]
    assert len(times) >= 2
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(times))
    assert names(outdated) == ["degraded"]


def test_a_refresh_that_hangs_is_bounded_for_everyone(
    outdated: Library, tabs: list[Library], proxy: HTTPProxy
) -> None:
    """A refresh without an answer ends after refresh_timeout, in this tab and for those in line."""
    proxy.hold("/api/refresh")
    for tab in tabs[:2]:
        tab.reopen(options="refresh_timeout=1")
        tab.run(f"task = asyncio.ensure_future({GET_ME.removeprefix('await ')})\nNone")
    started = time.monotonic()
    assert [tab.run("await task") for tab in tabs[:2]] == ["Unreachable", "Unreachable"]
    assert time.monotonic() - started < 10
    proxy.clear()
    assert outdated.run(GET_ME) == 200


@pytest.mark.parametrize(
    "body",
    ["<html>Welcome to the hotel</html>", "", {"refreshToken": "rt1.x"}, {"accessToken": 7}, []],
)
def test_what_is_no_answer_to_a_refresh_keeps_the_tokens(
    tab: Library, proxy: HTTPProxy, body: Any
) -> None:
    """A 200 without an access token is an outage, not an end."""
    before = tab.record
    proxy.respond("/api/refresh", 200, body, times=1)
    assert tab.run("await outcome(client.refresh())") == "Unreachable"
    assert tab.record == before
    assert tab.run(GET_ME) == 200
    tab.run("await client.refresh()")
    assert names(tab) == ["degraded", "refreshed", "recovered"]


def test_without_a_new_refresh_token_the_old_one_is_kept(tab: Library, proxy: HTTPProxy) -> None:
    """A server that does not rotate is served as well."""
    before = tab.record
    proxy.respond("/api/refresh", 200, {"accessToken": before["accessToken"]}, times=1)
    tab.run("await client.refresh()")
    assert tab.record["refreshToken"] == before["refreshToken"]
    assert tab.record["generation"] == before["generation"] + 1


def test_a_lost_reply_is_made_good_by_the_next_try(outdated: Library, proxy: HTTPProxy) -> None:
    """The server has refreshed but nobody heard: the same token gets the same pair again."""
    proxy.drop("/api/refresh", "response", times=1)
    assert outdated.run(GET_ME) == 200
    first, second = proxy.calls(REFRESH)
    assert first.body == second.body


def test_back_on_the_network_nobody_waits_for_the_pause(
    outdated: Library, proxy: HTTPProxy
) -> None:
    """Offline with an expired token: an error with a type, tokens kept; online again: it heals."""
    outdated.reopen(options="refresh_timeout=0.5")
    outdated.run("await client.ready()\nNone")
    outdated.page.context.set_offline(offline=True)
    assert outdated.run("await outcome(client.refresh())") == "Unreachable"
    assert outdated.record["refreshToken"]
    outdated.page.context.set_offline(offline=False)
    until(lambda: names(outdated)[-1:] == ["recovered"])
    assert outdated.run(GET_ME) == 200
    assert proxy.count(ME) == 1
