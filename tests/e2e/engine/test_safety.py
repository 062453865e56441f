"""Who sees a token, what is stored, and what is said."""

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
        "http://127.0.0.1@evil.example/x",
        "http://127.0.0.1:65001/x",
        "https://127.0.0.1/x",
        "http://localhost/x",
    ],
)
def test_no_other_origin_sees_the_token(tab: Library, watch: Watch, url: str) -> None:
    """Another host, port or scheme, however it is spelled, gets no Authorization."""
    seen: list[Request] = []

    def answer(route: Route) -> None:
        seen.append(route.request)
        headers = {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}
        route.fulfill(status=200, body="{}", headers=headers)

    home = tab.page.evaluate("location.origin")
    tab.page.route(lambda address: not address.startswith(home), answer)
    tab.run(f"await outcome(client.get({url!r}))")
    assert seen or "@" in url  # Browsers do not even send to a URL with a user's name in it.
    assert all("authorization" not in request.all_headers() for request in seen)
    watch.strangers.clear()


@pytest.mark.parametrize("garbage", ["", "{", "null", '{"version": 0}', "\\ud800"])
def test_garbage_in_the_storage_means_signed_out(tab: Library, garbage: str) -> None:
    """What is no record of ours is removed, and nobody is told of an error."""
    tab.page.evaluate(f"localStorage.setItem('unexpired', '{garbage}')")
    assert tab.run("client.close()\nopen_client().state") == "anonymous"
    assert tab.page.evaluate("localStorage.getItem('unexpired')") is None


def test_a_full_storage_costs_only_the_memory_of_the_next_visit(tab: Library, watch: Watch) -> None:
    """When nothing more fits, the session lives in memory and goes on being renewed."""
    tab.page.evaluate(FILL)
    try:
        tab.run("await client.sign_in('ada', 'correct horse battery')")
        tab.run("await client.refresh()")
        assert tab.run(GET_ME) == 200
        assert tab.run("client.state") == "active"
    finally:
        tab.page.evaluate("localStorage.clear()")
    watch.forgive("full or blocked")


def test_a_blocked_storage_is_done_without(tab: Library) -> None:
    """Where both storages throw, the session lives in memory."""
    tab.page.evaluate(BLOCK)
    try:
        tab.run("client.close()\nopen_client()\nNone")
        assert tab.run("client.diagnose()['store']") == "MemoryStore"
        tab.sign_in()
        assert tab.run(GET_ME) == 200
    finally:
        tab.page.evaluate(UNBLOCK)


def test_a_sign_out_needs_no_server(tab: Library, proxy: HTTPProxy) -> None:
    """The tokens are gone before the server is asked, and it is asked."""
    proxy.hold("/api/logout")
    tab.run("task = asyncio.ensure_future(client.sign_out())\nNone")
    until(lambda: tab.record == {})
    until(lambda: proxy.count(LOGOUT) == 1)
    proxy.clear()
    proxy.drop("/api/logout")
    tab.sign_in()
    tab.run("await client.sign_out()")
    assert tab.record == {}


def test_nothing_that_is_said_holds_a_part_of_a_token(
    tab: Library, proxy: HTTPProxy, watch: Watch
) -> None:
    """Neither events, errors, reprs, diagnose() nor the console, in good times and bad."""
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        said.append(message.text)

    tab.page.on("console", hear)
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
    said.append(str(tab.run(shown)))
    release()
    proxy.respond("/api/me", 401, {"code": "SESSION_REVOKED"})
    tab.run(GET_ME)
    said.append(str(tab.run("repr(events)")))
    for each in (record, tab.record or record):
        secrets = [*each["accessToken"].split("."), each["refreshToken"].removeprefix("rt1.")]
        for secret in secrets[1:]:
            assert not [text for text in said if secret[:12] in text]
    watch.forgive("a listener for")
