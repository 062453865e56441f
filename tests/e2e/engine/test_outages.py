"""The session during outages of the server and of the network."""

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


def expire_in(tab: Library, *, left: float, life: float = 100, options: str = "") -> None:
    """Let the access token expire in ``left`` seconds by the device's clock."""
    tab.reopen(expiresAt=time.time() + left, lifetime=life, options=options)


def event_names(tab: Library) -> list[str]:
    """Return the names of a tab's events so far."""
    return [event[0] for event in tab.run("events")]


def test_a_failed_refresh_is_retried(outdated: Library, proxy: HTTPProxy) -> None:
    """The caller sees the 200."""
    proxy.respond("/api/refresh", 503, UNAVAILABLE, times=1)
    assert outdated.run(GET_ME) == 200
    assert proxy.count(REFRESH) == 2
    assert event_names(outdated) == ["degraded", "refreshed", "recovered"]


def test_a_valid_token_works_while_refresh_fails(tab: Library, proxy: HTTPProxy) -> None:
    """Calls succeed, and "degraded" is emitted once."""
    proxy.respond("/api/refresh", 503, UNAVAILABLE)
    expire_in(tab, left=20)
    assert [tab.run(GET_ME) for _ in range(5)] == [200] * 5
    assert event_names(tab) == ["degraded"]
    assert tab.run("client.state") == "degraded"


def test_no_refresh_is_sent_before_retry_after(outdated: Library, proxy: HTTPProxy) -> None:
    """Not even when the network comes back; a 429 signs nobody out."""
    proxy.respond("/api/refresh", 429, {"code": "RATE_LIMITED"}, times=1, retry_after="2")
    outdated.run(f"task = asyncio.ensure_future({GET_ME.removeprefix('await ')})\nNone")
    until(lambda: proxy.count(REFRESH) == 1)
    outdated.page.evaluate("dispatchEvent(new Event('online'))")
    assert outdated.run("await task") == 200
    first, second = proxy.calls(REFRESH)
    assert second.at - first.at >= 2


def test_after_a_refused_refresh_the_token_is_used_until_it_expires(
    tab: Library, proxy: HTTPProxy
) -> None:
    """Calls succeed until then; after that the session ends once."""
    proxy.respond("/api/refresh", 401, REFUSED)
    expire_in(tab, left=3, life=12)
    end = tab.record["expiresAt"]
    tab.run("await client.ready()\nNone")
    assert tab.run(GET_ME) == 200
    until(lambda: "expired" in event_names(tab))
    assert time.time() >= end - 0.1
    assert event_names(tab).count("expired") == 1
    assert (proxy.count(REFRESH), tab.record) == (1, {})


def test_fifty_calls_in_an_outage_share_each_refresh(outdated: Library, proxy: HTTPProxy) -> None:
    """Refreshes are sent one at a time, with a back-off after each."""
    outdated.reopen(options="refresh_timeout=3")
    proxy.respond("/api/refresh", 500)
    calls = "await asyncio.gather(*(outcome(client.get('/api/me')) for _ in range(50)))"
    assert outdated.run(calls) == ["Unreachable"] * 50
    times = [call.at for call in proxy.calls(REFRESH)]
    assert len(times) >= 2
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(times))
    assert event_names(outdated) == ["degraded"]


def test_refresh_timeout_bounds_a_hanging_refresh_in_every_tab(
    outdated: Library, tabs: list[Library], proxy: HTTPProxy
) -> None:
    """It ends in the tab that refreshes, and in those that wait for its lock."""
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
def test_an_invalid_refresh_response_keeps_the_tokens(
    tab: Library, proxy: HTTPProxy, body: Any
) -> None:
    """A 200 without an access token counts as an outage."""
    before = tab.record
    proxy.respond("/api/refresh", 200, body, times=1)
    assert tab.run("await outcome(client.refresh())") == "Unreachable"
    assert {**tab.record, "attempt": before["attempt"]} == before
    assert tab.run(GET_ME) == 200
    tab.run("await client.refresh()")
    assert event_names(tab) == ["degraded", "refreshed", "recovered"]


def test_without_a_new_refresh_token_the_old_one_is_kept(tab: Library, proxy: HTTPProxy) -> None:
    """The server need not rotate refresh tokens."""
    before = tab.record
    proxy.respond("/api/refresh", 200, {"accessToken": before["accessToken"]}, times=1)
    tab.run("await client.refresh()")
    assert tab.record["refreshToken"] == before["refreshToken"]
    assert tab.record["generation"] == before["generation"] + 1


def test_after_a_lost_refresh_response_the_retry_succeeds(
    outdated: Library, proxy: HTTPProxy
) -> None:
    """The server refreshed; the same refresh token gets the same pair again."""
    proxy.drop("/api/refresh", "response", times=1)
    assert outdated.run(GET_ME) == 200
    first, second = proxy.calls(REFRESH)
    assert first.body == second.body


def test_the_session_recovers_when_the_network_is_back(outdated: Library, proxy: HTTPProxy) -> None:
    """Offline, a refresh raises Unreachable and keeps the tokens; online, it is retried at once."""
    outdated.reopen(options="refresh_timeout=0.5")
    outdated.run("await client.ready()\nNone")
    outdated.page.context.set_offline(offline=True)
    assert outdated.run("await outcome(client.refresh())") == "Unreachable"
    assert outdated.record["refreshToken"]
    outdated.page.context.set_offline(offline=False)
    until(lambda: event_names(outdated)[-1:] == ["recovered"])
    assert outdated.run(GET_ME) == 200
    assert proxy.count(ME) == 1
