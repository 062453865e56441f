"""Several tabs, one session."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.browser_library import Library
from tests.e2e.engine.helpers import GET_ME, GET_NOTES, ME, REFRESH, until
from tests.e2e.watch import Watch
from tests.support.proxy import HTTPProxy
from tests.support.server_process import PASSWORDS

WITHOUT_LOCKS = "Object.defineProperty(navigator, 'locks', {value: undefined, configurable: true})"
WITH_LOCKS = "delete navigator.locks"
# ``outcome`` turns the error into a value: Pyodide logs one that is not awaited yet.
BEGIN_REFRESH = "outcome(client.refresh())"


def begin(tab: Library, call: str) -> None:
    """Start a call in a tab without waiting for it."""
    tab.run(f"task = asyncio.ensure_future({call.removeprefix('await ')})\nNone")


def end(tab: Library) -> object:
    """Wait for the call that was started; return its outcome."""
    return tab.run("await task")


def test_tabs_that_find_the_token_expired_share_one_refresh(
    outdated: Library, tabs: list[Library], proxy: HTTPProxy
) -> None:
    """One of five tabs refreshes, and the calls of all succeed."""
    release = proxy.hold("/api/refresh", times=1)
    for tab in tabs:
        begin(tab, GET_ME)
    until(lambda: proxy.count(ME) == len(tabs) and proxy.count(REFRESH) == 1)
    release()
    assert [end(tab) for tab in tabs] == [200] * len(tabs)
    assert proxy.count(REFRESH) == 1
    assert outdated.run(GET_ME) == 200


def test_a_tab_uses_the_token_that_another_refreshed(tabs: list[Library], proxy: HTTPProxy) -> None:
    """Its next call needs no refresh and gets no 401."""
    tabs[0].run("await client.refresh()")
    assert tabs[1].run(GET_ME) == 200
    assert (proxy.count(REFRESH), proxy.count(ME)) == (1, 1)
    token = f"Bearer {tabs[0].record['accessToken']}"
    assert proxy.calls(ME)[0].headers["authorization"] == token


def test_closing_a_tab_during_its_refresh_releases_the_lock(
    tabs: list[Library], proxy: HTTPProxy
) -> None:
    """The next tab that waits for the lock refreshes."""
    doomed = Library(tabs[0].page.context.new_page())
    doomed.run("open_client()\nNone")
    proxy.hold("/api/refresh", times=1)
    begin(doomed, BEGIN_REFRESH)
    until(lambda: proxy.count(REFRESH) == 1)
    begin(tabs[0], BEGIN_REFRESH)
    doomed.page.close()
    end(tabs[0])
    assert proxy.count(REFRESH) == 2
    assert tabs[0].run(GET_ME) == 200


def test_without_web_locks_the_grace_period_keeps_the_session(
    outdated: Library, tabs: list[Library], proxy: HTTPProxy
) -> None:
    """Two tabs refresh with the same token, and both stay signed in."""
    for tab in tabs[:2]:
        tab.page.evaluate(WITHOUT_LOCKS)
        tab.reopen()
        assert tab.run("client.diagnose()['lock']") == "LocalLock"
    release = proxy.hold("/api/refresh")
    for tab in tabs[:2]:
        begin(tab, GET_ME)
    until(lambda: proxy.count(REFRESH) == 2)
    release()
    assert [end(tab) for tab in tabs[:2]] == [200, 200]
    for tab in tabs[:2]:
        tab.run("await client.refresh()")
        assert tab.run(GET_ME) == 200
        tab.page.evaluate(WITH_LOCKS)
    assert outdated.record["refused"] is None


def test_a_sign_out_ends_the_waiting_calls_of_other_tabs(
    outdated: Library, tabs: list[Library], proxy: HTTPProxy
) -> None:
    """The other tab emits "signed_out"; its waiting call raises SessionEnded."""
    proxy.hold("/api/refresh")
    begin(tabs[1], GET_ME)
    until(lambda: proxy.count(REFRESH) == 1)
    outdated.run("await client.sign_out()")
    until(lambda: tabs[1].run("events")[-1:] == [["signed_out", "elsewhere"]])
    proxy.clear()
    assert end(tabs[1]) == "SessionEnded"
    expect(tabs[1].page).to_have_url(re.compile(r"#/login\?.*reason=signed_out$"))


def test_a_sign_in_as_another_user_applies_to_every_tab(
    tabs: list[Library], proxy: HTTPProxy
) -> None:
    """No tab sends a token of the first user any more."""
    first = tabs[0].record["accessToken"]
    tabs[0].run(f"await client.sign_in('grace', {PASSWORDS['grace']!r})")
    proxy.clear()
    for tab in tabs[1:]:
        assert tab.run("(await client.get('/api/me')).json()['username']") == "grace"
        assert tab.run("client.user['username']") == "grace"
    assert all(first not in call.headers["authorization"] for call in proxy.calls(ME))


def test_a_response_for_the_first_user_is_not_returned_to_the_second(
    tabs: list[Library], proxy: HTTPProxy
) -> None:
    """The call of a user who was replaced raises SessionEnded."""
    release = proxy.hold("/api/notes", times=1)
    begin(tabs[1], GET_NOTES)
    until(lambda: proxy.count("GET /api/notes") == 1)
    tabs[0].run(f"await client.sign_in('grace', {PASSWORDS['grace']!r})")
    release()
    assert end(tabs[1]) == "SessionEnded"


def test_a_refresh_in_flight_does_not_undo_a_sign_out(
    tabs: list[Library], proxy: HTTPProxy
) -> None:
    """Its response arrives after the sign-out, here or in another tab; nothing is stored."""
    for signing_out in tabs[:2]:
        tabs[0].sign_in()
        tabs[1].run("client.wake()")
        proxy.clear()
        release = proxy.hold("/api/refresh", times=1)
        begin(tabs[0], BEGIN_REFRESH)
        until(lambda: proxy.count(REFRESH) == 1)
        signing_out.run("await client.sign_out()")
        release()
        assert end(tabs[0]) == "SessionEnded"
        assert tabs[0].record == {}
        assert tabs[0].run("client.state") == "anonymous"


def test_no_tab_broadcasts_a_token(tabs: list[Library], watch: Watch) -> None:
    """Tabs learn only that the storage has changed."""
    listen = (
        "window.messages = []; new BroadcastChannel('unexpired').onmessage = e => messages.push(e)"
    )
    tabs[1].page.evaluate(f"{listen}; addEventListener('message', e => messages.push(e))")
    tabs[0].run("await client.refresh()")
    assert tabs[1].run(GET_ME) == 200
    assert tabs[1].page.evaluate("messages.length") == 0
    assert watch.count(ME) == 1
