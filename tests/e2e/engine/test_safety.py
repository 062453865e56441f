"""Who can see a token, what is stored, and what is logged."""

from __future__ import annotations

import pytest
from playwright.sync_api import ConsoleMessage, Request, Route

from tests.e2e.browser_library import Library
from tests.e2e.engine.helpers import GET_ME, LOGOUT, until
from tests.e2e.watch import Watch
from tests.support.proxy import HTTPProxy

BLOCK = """
  window.storages = {};
  for (const name of ["localStorage", "sessionStorage"]) {
    storages[name] = Object.getOwnPropertyDescriptor(window, name);
    const get = () => { throw new DOMException("blocked", "SecurityError"); };
    Object.defineProperty(window, name, {get, configurable: true});
  }
"""
UNBLOCK = "Object.defineProperties(window, storages)"
FILL = """
  let size = 1 << 20, text = "x".repeat(size);
  for (let n = 0; size; n++) {
    try { localStorage.setItem("fill" + n, text.slice(0, size)); } catch { size >>= 1; }
  }
"""


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example/x",
        "//evil.example/x",
        "http://127.0.0.1:65001/x",
        "https://127.0.0.1/x",
        "http://localhost/x",
    ],
)
def test_no_other_origin_sees_the_token(tab: Library, watch: Watch, url: str) -> None:
    """Another host, port or scheme, however it is spelled, gets no Authorization."""
    seen: list[Request] = []

    def respond(route: Route) -> None:
        seen.append(route.request)
        headers = {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}
        route.fulfill(status=200, body="{}", headers=headers)

    home = tab.page.evaluate("location.origin")
    tab.page.route(lambda address: not address.startswith(home), respond)
    tab.run(f"await outcome(client.get({url!r}))")
    assert seen
    assert all("authorization" not in request.all_headers() for request in seen)
    watch.foreign_requests.clear()


@pytest.mark.parametrize("garbage", ["", "{", "null", '{"version": 0}', "\\ud800"])
def test_an_invalid_stored_record_is_removed(only_tab: Library, garbage: str) -> None:
    """The client is signed out, without an error; no other tab knows the session."""
    tab = only_tab
    tab.page.evaluate(f"localStorage.setItem('unexpired', '{garbage}')")
    assert tab.run("client.close()\nopen_client().state") == "anonymous"
    assert tab.page.evaluate("localStorage.getItem('unexpired')") is None


def test_with_a_full_storage_the_session_is_kept_in_memory(tab: Library, watch: Watch) -> None:
    """It works and is refreshed as usual."""
    tab.page.evaluate(FILL)
    try:
        tab.run("await client.sign_in('ada', 'correct horse battery')")
        tab.run("await client.refresh()")
        assert tab.run(GET_ME) == 200
        assert tab.run("client.state") == "active"
    finally:
        tab.page.evaluate("localStorage.clear()")
    watch.forgive("full or blocked")


def test_with_blocked_storage_the_session_is_kept_in_memory(tab: Library, watch: Watch) -> None:
    """Access to both storages throws; one warning says so."""
    tab.page.evaluate(BLOCK)
    try:
        tab.run("client.close()\nopen_client()\nNone")
        assert tab.run("client.diagnose()['store']") == "MemoryStore"
        tab.sign_in()
        assert tab.run(GET_ME) == 200
    finally:
        tab.page.evaluate(UNBLOCK)
    assert sum("storage cannot be used" in line for line in watch.complaints) == 1
    watch.forgive("storage cannot be used")


def test_a_sign_out_does_not_wait_for_the_server(tab: Library, proxy: HTTPProxy) -> None:
    """The tokens are removed first; then the server is asked to end the session."""
    proxy.hold("/api/logout")
    tab.run("task = asyncio.ensure_future(client.sign_out())\nNone")
    until(lambda: tab.record == {})
    until(lambda: proxy.count(LOGOUT) == 1)
    proxy.clear()
    proxy.drop("/api/logout")
    tab.sign_in()
    tab.run("await client.sign_out()")
    assert tab.record == {}


def test_no_part_of_a_token_is_logged_or_shown(
    tab: Library, proxy: HTTPProxy, watch: Watch
) -> None:
    """Not in events, errors, reprs, diagnose() or the console, whether calls succeed or fail."""
    texts: list[str] = []

    def record_message(message: ConsoleMessage) -> None:
        texts.append(message.text)

    tab.page.on("console", record_message)
    record = tab.record
    shown = (
        "import logging\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "client.on('refreshed', lambda: 1 / 0)\n"
        "await client.refresh()\n"
        "record = client._manager.session.record\n"
        "try:\n"
        "    await client.get('/api/me', timeout=0.05)\n"
        "except Exception as caught:\n"
        "    error = caught\n"
        "json.dumps([repr(record), repr(record.tokens), repr(client), client.diagnose(),\n"
        "            repr(error), str(error), repr(events), repr(client._manager.policy)])"
    )
    release = proxy.hold("/api/me", times=1)
    texts.append(str(tab.run(shown)))
    release()
    proxy.respond("/api/me", 401, {"code": "SESSION_REVOKED"})
    tab.run(GET_ME)
    texts.append(str(tab.run("logging.getLogger().setLevel(logging.WARNING)\nrepr(events)")))
    for each in (record, tab.record or record):
        secrets = [*each["accessToken"].split("."), each["refreshToken"].removeprefix("rt1.")]
        for secret in secrets[1:]:
            assert not [text for text in texts if secret[:12] in text]
    watch.forgive("a listener for", "DEBUG:")
