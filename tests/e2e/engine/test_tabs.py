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
# An error must be an outcome: Pyodide complains at once of one that nobody waits for yet.
BEGIN_REFRESH = "outcome(client.refresh())"


def begin(tab: Library, call: str) -> None:
    """Start a call in a tab without waiting for it."""
    tab.run(f"task = asyncio.ensure_future({call.removeprefix('await ')})\nNone")


def end(tab: Library) -> object:
    """Wait for the call that was started; return its outcome."""
    return tab.run("await task")


def test_tabs_that_expire_together_refresh_once(
    outdated: Library, tabs: list[Library], proxy: HTTPProxy
) -> None:
    """Five tabs find their common token expired; one refreshes, and all get their answer."""
    release = proxy.hold("/api/refresh", times=1)
    for tab in tabs:
        begin(tab, GET_ME)
    until(lambda: proxy.count(ME) == len(tabs) and proxy.count(REFRESH) == 1)
    release()
    assert [end(tab) for tab in tabs] == [200] * len(tabs)
    assert proxy.count(REFRESH) == 1
    assert outdated.run(GET_ME) == 200


def test_a_tab_takes_the_token_that_another_one_renewed(
    tabs: list[Library], proxy: HTTPProxy
) -> None:
    """What one tab renewed is used by the next call of another, without a refresh or a 401."""
    tabs[0].run("await client.refresh()")
    assert tabs[1].run(GET_ME) == 200
    assert (proxy.count(REFRESH), proxy.count(ME)) == (1, 1)
    token = f"Bearer {tabs[0].record['accessToken']}"
    assert proxy.calls(ME)[0].headers["authorization"] == token


def test_a_tab_that_is_killed_in_mid_refresh_holds_nobody_up(
    tabs: list[Library], proxy: HTTPProxy
) -> None:
    """The browser frees the lock of a tab that is closed; the next one in line goes on."""
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


def test_without_web_locks_the_servers_grace_keeps_the_session(
    outdated: Library, tabs: list[Library], proxy: HTTPProxy
) -> None:
    """Two tabs that cannot see each other refresh both, and both go on."""
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


def test_a_sign_out_reaches_the_other_tabs_and_ends_their_waiting_calls(
    outdated: Library, tabs: list[Library], proxy: HTTPProxy
) -> None:
    """A tab hears of a sign-out elsewhere by itself; a call that waits there ends with a type."""
    proxy.hold("/api/refresh")
    begin(tabs[1], GET_ME)
    until(lambda: proxy.count(REFRESH) == 1)
    outdated.run("await client.sign_out()")
    until(lambda: tabs[1].run("events")[-1:] == [["signed_out", "elsewhere"]])
    proxy.clear()
    assert end(tabs[1]) == "SessionEnded"
    expect(tabs[1].page).to_have_url(re.compile(r"#/login\?.*reason=signed_out$"))


def test_another_user_who_signs_in_is_the_one_in_every_tab(
    tabs: list[Library], proxy: HTTPProxy
) -> None:
    """After a sign-in as somebody else no tab shows or sends anything of the first one."""
    first = tabs[0].record["accessToken"]
    tabs[0].run(f"await client.sign_in('grace', {PASSWORDS['grace']!r})")
    proxy.clear()
    for tab in tabs[1:]:
        assert tab.run("(await client.get('/api/me')).json()['username']") == "grace"
        assert tab.run("client.user['username']") == "grace"
    assert all(first not in call.headers["authorization"] for call in proxy.calls(ME))


def test_an_answer_for_the_first_user_never_reaches_the_second_ones_page(
    tabs: list[Library], proxy: HTTPProxy
) -> None:
    """An answer that was on its way when somebody else signed in is handed to nobody."""
    release = proxy.hold("/api/notes", times=1)
    begin(tabs[1], GET_NOTES)
    until(lambda: proxy.count("GET /api/notes") == 1)
    tabs[0].run(f"await client.sign_in('grace', {PASSWORDS['grace']!r})")
    release()
    assert end(tabs[1]) == "SessionEnded"


def test_nothing_in_flight_undoes_a_sign_out(tabs: list[Library], proxy: HTTPProxy) -> None:
    """A refresh that answers after a sign-out, here or in another tab, leaves the storage empty."""
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
    """What one tab tells the others is only that the storage has changed."""
    listen = "window.heard = []; new BroadcastChannel('unexpired').onmessage = e => heard.push(e)"
    tabs[1].page.evaluate(f"{listen}; addEventListener('message', e => heard.push(e))")
    tabs[0].run("await client.refresh()")
    assert tabs[1].run(GET_ME) == 200
    assert tabs[1].page.evaluate("heard.length") == 0
    assert watch.count(ME) == 1
