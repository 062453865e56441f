"""The refresh token in a cookie, in a browser: on one origin, and with an API of the same site."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Response, expect

from tests.e2e.browser_library import Library
from tests.e2e.conftest import TIMEOUT_MS
from tests.support.secure_server import EMPTY, EVERYTHING, NAME, SecureServer

HOUR = 3600


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureServer]:
    with SecureServer(tmp_path_factory.mktemp("secure")) as server:
        yield server


@pytest.fixture(scope="module")
def own_context(browser: Browser, secure: SecureServer) -> Iterator[BrowserContext]:
    """One for the module: only its first page compiles Python."""
    context = browser.new_context(base_url=secure.url, ignore_https_errors=True)
    context.set_default_timeout(TIMEOUT_MS)
    yield context
    context.close()


@pytest.fixture
def window(own_context: BrowserContext) -> Iterator[BrowserContext]:
    own_context.clear_cookies()
    page = own_context.new_page()
    page.goto("/healthz")
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.close()
    yield own_context
    own_context.unroute_all()
    for page in own_context.pages:
        page.close()


@pytest.fixture(params=["own origin", "same-site API"])
def options(request: pytest.FixtureRequest, secure: SecureServer) -> str:
    base = {"own origin": "", "same-site API": secure.api}[request.param]
    return f'storage="cookie", base_url={base!r}, on_expired="event"'


class Tab(Library):
    """A tab with a client that has the cookie."""

    def __init__(self, context: BrowserContext, options: str) -> None:
        self._options = options
        # The server itself sends the page: one of Playwright's is of no network, and browsers keep
        # such a page from this machine's other ports (Local Network Access).
        self.page = context.new_page()
        self.page.goto("/library.html")
        expect(self.page.locator("html")).to_have_attribute("data-ready", "true")
        self.open()

    def open(self) -> None:
        """Open the client, and wait until it knows the session."""
        self.run(f"open_client({self._options})\nawait client.ready()\nNone")

    def change(self, options: str) -> None:
        """Open a client with other options, as a new version of the page would."""
        self._options = options
        self.reload()

    def reload(self) -> None:
        """Load the page again, which then has another client."""
        self.page.reload()
        expect(self.page.locator("html")).to_have_attribute("data-ready", "true")
        self.open()

    def me(self) -> Any:
        """Return whom the server takes the person for."""
        return self.run("(await client.get('/api/me')).json()['username']")

    def waits_for(self, expression: str) -> None:
        """Wait until a Python expression is true in the page."""
        self.run(
            f"async with asyncio.timeout(60):\n while not ({expression}):\n"
            "  await asyncio.sleep(0.02)\nNone"
        )


def cookie(context: BrowserContext) -> dict[str, Any]:
    found = [dict(one) for one in context.cookies() if one.get("name") == NAME]
    return found[0] if found else {}


def test_no_script_sees_the_refresh_token(window: BrowserContext, options: str) -> None:
    """Not in storage, in a response or in the memory of Python; and only a cookie that is safe."""
    tab = Tab(window, options)
    responses: list[Response] = []
    tab.page.on("response", lambda one: responses.append(one))  # noqa: PLW0108 - Playwright marks it
    tab.sign_in()
    assert tab.me() == "ada"
    kept = cookie(window)
    assert (kept["httpOnly"], kept["secure"], kept["sameSite"], kept["path"]) == (
        True, True, "Strict", "/",
    )  # fmt: skip
    token = kept["value"]
    assert token.startswith("rt1.")
    everything = tab.page.evaluate(EVERYTHING)
    access = tab.run("await client.token()")
    assert ':cookie":' in everything
    assert all(secret not in everything for secret in (token, access, "rt1.", "oken"))
    # Python's memory has no refresh token either; that the access token is found shows the search.
    tab.run("import pyodide_js\njs.pythonsMemory = pyodide_js._module.HEAPU8\nNone")
    assert tab.page.evaluate(IN_MEMORY, [token, access]) == [False, True]
    bodies = [one.text() for one in responses if one.url.endswith(("/api/login", "/api/refresh"))]
    assert bodies
    assert all("refreshToken" not in body and token not in body for body in bodies)
    assert tab.run("client._manager.session.record.tokens.refresh_token") is None


def test_a_session_lives_through_reloads_and_expiries(
    window: BrowserContext, options: str, secure: SecureServer
) -> None:
    """The tab refreshes by the cookie, and gets the next one."""
    tab = Tab(window, options)
    tab.sign_in()
    before = cookie(window)["value"]
    with tab.page.expect_response(is_refreshed):
        tab.reload()
    assert tab.me() == "ada"
    assert cookie(window)["value"] != before
    with tab.page.expect_response(is_refreshed):
        secure.ahead += HOUR
        assert tab.me() == "ada"


def test_tabs_share_the_session_and_its_end(
    window: BrowserContext, options: str, secure: SecureServer
) -> None:
    """Each refreshes for itself; a sign-out reaches all, and removes the cookie."""
    here, there = Tab(window, options), Tab(window, options)
    here.sign_in()
    there.waits_for("client.user")
    for _ in range(2):
        assert [here.me(), there.me()] == ["ada", "ada"]
        secure.ahead += HOUR
    here.run("await client.sign_out()")
    there.waits_for("client.state == 'anonymous'")
    assert cookie(window) == {}
    assert there.run("await outcome(client.get('/api/me'))") == "NotSignedIn"


def test_a_refresh_whose_response_is_lost_is_repeated(
    window: BrowserContext, options: str, secure: SecureServer
) -> None:
    """The reloaded page repeats the same attempt, which the server answers again."""
    tab = Tab(window, options)
    tab.sign_in()
    secure.attempts.clear()
    secure.loses = True
    assert tab.run("await outcome(client.refresh())") == "Unreachable"
    tab.reload()
    assert tab.me() == "ada"
    assert len(secure.attempts) > 1
    assert len(set(secure.attempts)) == 1


def test_sync_code_uses_the_cookie(window: BrowserContext, options: str) -> None:
    """It switches stacks (JSPI): the requests are the page's own, which carry the cookie."""
    tab = Tab(window, options)
    tab.sign_in()
    tab.run(f"from unexpired import Client\nsync = Client.in_browser({options})\nNone")
    with tab.page.expect_response(is_refreshed):
        assert tab.run("sync.get('/api/me').json()['username']") == "ada"
    tab.run("sync.sign_out()")
    assert cookie(window) == {}


def test_a_page_of_another_port_can_do_nothing_with_the_cookie(
    window: BrowserContext, secure: SecureServer
) -> None:
    """Neither refresh, end nor replace its session, by fetch or by a form."""
    tab = Tab(window, "storage='cookie', on_expired='event'")
    tab.sign_in()
    before = cookie(window)["value"]
    # Another port of the same host is the same site, whose requests carry the cookie.
    attacker = window.new_page()
    attacker.goto(f"{secure.api}{EMPTY}")
    for path in ("refresh", "logout", "login"):
        results = attacker.evaluate(ATTACKS, f"{secure.url}/api/{path}")
        assert results == [0, "TypeError"]  # An opaque response, and a refusal by CORS.
        with attacker.expect_navigation() as submitted:
            attacker.evaluate(FORM, f"{secure.url}/api/{path}")
        assert submitted.value.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        attacker.goto(f"{secure.api}{EMPTY}")
    assert cookie(window)["value"] == before
    with tab.page.expect_response(is_refreshed):
        tab.reload()


def test_changing_over_costs_one_sign_in(window: BrowserContext, secure: SecureServer) -> None:
    """From tokens in storage to the cookie and back: nothing is left behind, or sent twice."""
    tab = Tab(window, "storage='local', on_expired='event'")
    tab.sign_in()
    assert "refreshToken" in tab.page.evaluate(EVERYTHING)
    refused: list[str] = []
    window.on("response", lambda one: refused.extend([one.url] * is_bad_request(one)))
    tab.change("storage='cookie', on_expired='event'")
    assert "refreshToken" not in tab.page.evaluate(EVERYTHING)
    assert tab.run("await outcome(client.get('/api/me'))") == "NotSignedIn"
    tab.sign_in()
    assert cookie(window)
    tab.change("storage='local', on_expired='event'")
    assert tab.run("await outcome(client.get('/api/me'))") == "NotSignedIn"
    # The sign-in clears the cookie, so that no refresh has two tokens.
    tab.sign_in("grace")
    assert cookie(window) == {}
    with tab.page.expect_response(is_refreshed):
        secure.ahead += HOUR
        assert tab.run("(await client.get('/api/me')).json()['username']") == "grace"
    tab.change("storage='cookie', on_expired='event'")
    # The marker of the first session is still there: it ends now, as one that has no cookie.
    assert tab.run("await outcome(client.get('/api/me'))") == "SessionExpired"
    assert refused == []


IN_MEMORY = """(texts) => {
  const memory = new TextDecoder("latin1").decode(pythonsMemory);
  return texts.map((text) => memory.includes(text));
}"""

ATTACKS = """async (url) => {
  const kinds = [
    { mode: "no-cors", headers: { "content-type": "text/plain" } },
    { mode: "cors", headers: { "content-type": "application/json" } },
  ];
  const results = [];
  for (const kind of kinds) {
    const init = { method: "POST", credentials: "include", body: '{"cookie": true}', ...kind };
    results.push(await fetch(url, init).then((one) => one.status, (error) => error.name));
  }
  return results;
}"""

FORM = """(url) => {
  const form = Object.assign(document.createElement("form"), {
    method: "post", action: url, enctype: "text/plain",
  });
  const field = Object.assign(document.createElement("input"), { name: '{"a":"', value: '"}' });
  form.append(field);
  document.body.append(form);
  form.submit();
}"""


def is_refreshed(response: Response) -> bool:
    """A bound session's first refresh may have to be signed again, with a nonce."""
    return response.url.endswith("/api/refresh") and response.status == HTTPStatus.OK


def is_bad_request(response: Response) -> bool:
    return response.status == HTTPStatus.BAD_REQUEST
