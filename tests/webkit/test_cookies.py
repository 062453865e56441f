"""The refresh token in a cookie, in WebKitGTK: on one origin, and with an API of the same site."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import WebKitGTK

from tests.support.secure_server import EVERYTHING, NAME, SecureServer
from tests.support.server_process import PASSWORDS
from tests.webkit.conftest import Browser, Launch
from tests.webkit.window import Window

HOUR = 3600
SCRIPT = """
const [source, done] = arguments;
runPython(source).then(done, (error) => done(JSON.stringify(String(error))));
"""
ME = "(await client.get('/api/me')).json()['username']"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureServer]:
    """The server, at two addresses of one site."""
    with SecureServer(tmp_path_factory.mktemp("secure")) as server:
        yield server


@pytest.fixture(scope="module")
def trusting(launch: Launch) -> Iterator[Browser]:
    """A browser that takes the certificate, which nobody has signed but the test."""
    with Browser(lambda: launch("--ignore-tls-errors")) as browser:
        yield browser


@pytest.fixture
def secure_webkit(trusting: Browser) -> WebKitGTK:
    """The browser that takes the certificate."""
    return trusting.driver


class Tab(Window):
    """A window with a client that has the cookie."""

    def starts(self, options: str) -> Tab:
        """Load the page, again if it is there, and open its client."""
        self.evaluate(f"void (location.href = '{self.home}/library.html?' + Math.random())")
        self.waits(lambda: self.evaluate("document.documentElement.dataset.ready") == "true")
        self.run(f"open_client({options})\nawait client.ready()\nNone")
        return self

    def run(self, source: str) -> Any:
        """Run Python in the page; return the value of its last line."""
        return json.loads(self.later(SCRIPT, f"{source}\n"))

    def finds_everything(self) -> str:
        """Return all that a script can read."""
        return str(self.later(f"({EVERYTHING})().then(arguments[0])"))

    def token(self) -> dict[str, Any]:
        """Return the cookie with the refresh token; empty without one."""
        return next((one for one in self.cookies if one["name"] == NAME), {})


@pytest.fixture(params=["own origin", "same-site API"])
def options(request: pytest.FixtureRequest, secure: SecureServer) -> str:
    """How the client finds the API."""
    base = {"own origin": "", "same-site API": secure.api}[request.param]
    return f'storage="cookie", base_url={base!r}, on_expired="event"'


@pytest.fixture
def tab(secure_webkit: WebKitGTK, secure: SecureServer, options: str) -> Iterator[Tab]:
    """A tab that is signed in."""
    first = Tab(secure_webkit, secure.url).forgets().starts(options)
    first.run(f"await client.sign_in('ada', {PASSWORDS['ada']!r})")
    yield first
    first.close_others()


def test_no_script_sees_the_refresh_token(tab: Tab) -> None:
    """It is in the cookie only, which no script can read."""
    cookie = tab.token()
    assert (cookie["httpOnly"], cookie["secure"], cookie["path"]) == (True, True, "/")
    everything = tab.finds_everything()
    assert ':cookie":' in everything
    assert all(secret not in everything for secret in (cookie["value"], "rt1.", "oken"))


def test_a_session_lives_through_reloads_and_expiries_and_ends_everywhere(
    tab: Tab, secure_webkit: WebKitGTK, secure: SecureServer, options: str
) -> None:
    """Each tab refreshes by the cookie; the sign-out removes it, and reaches the others."""
    before = tab.token()["value"]
    assert tab.starts(options).run(ME) == "ada"
    assert tab.token()["value"] != before
    secure_webkit.switch_to.new_window("tab")
    secure_webkit.get(f"{secure.url}/healthz")
    other = Tab(secure_webkit, secure.url).starts(options)
    secure.ahead += HOUR
    assert [tab.run(ME), other.run(ME)] == ["ada", "ada"]
    tab.run("await client.sign_out()")
    other.waits(lambda: other.run("client.state") == "anonymous")
    assert tab.token() == {}


def test_a_refresh_whose_response_is_lost_is_repeated(
    tab: Tab, secure: SecureServer, options: str
) -> None:
    """The reloaded page repeats the same attempt, which the server answers again."""
    secure.attempts.clear()
    secure.loses = True
    assert tab.run("await outcome(client.refresh())") == "Unreachable"
    assert tab.starts(options).run(ME) == "ada"
    assert len(secure.attempts) > 1
    assert len(set(secure.attempts)) == 1
