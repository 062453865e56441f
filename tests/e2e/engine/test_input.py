"""What storage, an API or a caller gets wrong, in a page."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.browser_library import Library
from tests.e2e.engine.helpers import GET_ME, ME, until
from tests.e2e.watch import Watch
from tests.support.proxy import HTTPProxy
from tests.support.server_process import ServerProcess

DEEP = "'[' * 100_000"

RAISED = """
async def raised(call):
    try:
        await call
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""


BLOCKING = """
from pyodide.ffi import create_once_callable
from unexpired import Client

sync = Client.in_browser(session_of=client)

async def blocking(call):
    outcome = asyncio.Future()
    def run(*_):
        try: outcome.set_result(call())
        except Exception as error: outcome.set_exception(error)
    js.setTimeout(create_once_callable(run), 0)
    return await outcome
"""


@pytest.mark.parametrize(
    "change",
    [
        "user={}",
        "user={'id': 5, 'x': float('nan')}",
        "expiresAt=float('inf')",
        "expiresAt=int('9' * 400)",
        "accessToken='a\\nb'",
        "accessToken='\\ud800'",
    ],
)
def test_a_damaged_record_is_removed_at_the_start(only_tab: Library, change: str) -> None:
    tab = only_tab
    tab.run(
        "client.close()\n"
        "record = json.loads(js.localStorage.getItem('unexpired'))\n"
        f"js.localStorage.setItem('unexpired', json.dumps({{**record, **dict({change})}}))\n"
        "open_client()\nNone"
    )
    assert tab.run("client.state") == "anonymous"
    assert tab.record == {}
    tab.sign_in()
    assert tab.run(GET_ME) == 200


def test_a_deeply_nested_record_does_not_end_python(only_tab: Library) -> None:
    damage = f"client.close()\njs.localStorage.setItem('unexpired', {DEEP})\nopen_client()\nNone"
    only_tab.run(damage)
    assert only_tab.run("client.state") == "anonymous"
    assert only_tab.record == {}


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_damage_signs_out_no_tab_that_knows_the_session(
    tab: Library, tabs: list[Library], text: str
) -> None:
    """The first tab that sees it stores the session again."""
    stored = "localStorage.getItem('unexpired')"
    whole = tab.page.evaluate(stored)
    tab.page.evaluate("text => localStorage.setItem('unexpired', text)", text)
    for each in tabs:
        until(lambda page=each.page: page.evaluate(stored) == whole)  # type: ignore[misc]
    for each in tabs:
        assert each.run(GET_ME) == 200
        assert each.run("events") == []


@pytest.mark.parametrize("status", [200, 401, 403, 500])
def test_a_deeply_nested_response_does_not_end_python(
    tab: Library, proxy: HTTPProxy, status: int
) -> None:
    proxy.respond("/api/me", status, "[" * 100_000, times=1)
    assert tab.run(GET_ME) == status
    proxy.respond("/api/refresh", 200, '{"a":' * 100_000, times=1)
    assert tab.run("await outcome(client.refresh())") == "Unreachable"
    assert tab.run(GET_ME) == 200


def test_another_apis_client_does_not_see_the_session(
    tab: Library, backend: ServerProcess, watch: Watch
) -> None:
    """Neither token goes to another API, under the default key or under the same one."""
    for key in ("", "unexpired"):
        options = f"base_url={backend.url!r}, storage_key={key!r}, on_expired='event'"
        assert tab.run(f"open_client({options})\nawait outcome(client.get('/x'))") == "NotSignedIn"
        tab.run("await client.sign_out()\nclient.close()")
    assert watch.sent == []
    tab.reopen()
    assert tab.run(GET_ME) == 200


def test_a_record_of_an_earlier_version_is_moved_to_the_apis_own_key(tab: Library) -> None:
    """Where the API is surely the one that issued it."""
    tab.run(
        "client.close()\n"
        "record = json.loads(js.localStorage.getItem('unexpired'))\n"
        "del record['api']\n"
        "js.localStorage.setItem('unexpired', json.dumps(record))\n"
        "open_client(base_url='/api')\nNone"
    )
    assert tab.run("(await client.get('/me')).status_code") == 200
    assert tab.record == {}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("get('/api/me', headers={'X-Name': 'Łukasz'})", "ValueError: headers: "),
        ("get('/api/me', headers={'X Name': 'a'})", "ValueError: headers: "),
        ("get('/api/me', headers={'X-Name': 'a\\nb'})", "ValueError: headers: "),
        ("get('/api/me', json=1)", "ValueError: a GET request has no body"),
        ("request('TRACE', '/api/me')", "ValueError: method"),
        ("get('https://ada:pw@127.0.0.1/')", "ValueError: a URL"),
        ("get('http://127.0.0.1@evil.example/x')", "ValueError: a URL"),
        ("get('https://%zz/')", "ValueError: the browser refuses"),
        ("get('/api/me', param={'a': 1})", "TypeError: there is no option param; did you mean"),
    ],
)
def test_a_callers_mistake_is_no_outage(
    tab: Library, proxy: HTTPProxy, call: str, message: str
) -> None:
    assert tab.run(f"{RAISED}await raised(client.{call})").startswith(message)
    assert proxy.received == []


def test_a_cached_response_is_never_another_persons(tab: Library, proxy: HTTPProxy) -> None:
    """The API lets its responses be stored, and does not say that they vary with the token."""
    stored = {"cache_control": "max-age=600", "last_modified": "Fri, 15 Jan 2027 08:00:00 GMT"}
    proxy.respond("/api/me", 200, {"username": "ada"}, times=1, **stored)
    who = "(await client.get('/api/me')).json()['username']"
    assert tab.run(who) == "ada"
    tab.run("await client.sign_out()")
    tab.sign_in("grace")
    assert tab.run(who) == "grace"
    assert [call.headers.get("if-modified-since") for call in proxy.calls(ME)] == [None, None]
    kept = '(await js.fetch(\'/api/me\', js.JSON.parse(\'{"cache": "only-if-cached", '
    kept += '"mode": "same-origin"}\'))).status'
    assert tab.run(f"try:\n    status = {kept}\nexcept Exception:\n    status = 504\nstatus") == 504


def test_a_cached_response_is_never_another_persons_where_a_call_blocks(
    tab: Library, proxy: HTTPProxy, watch: Watch
) -> None:
    """A blocking XMLHttpRequest has no cache mode."""
    tab.run(BLOCKING)
    proxy.respond("/api/me", 200, {"username": "ada"}, times=1, cache_control="max-age=600")
    who = "await blocking(lambda: sync.get('/api/me').json()['username'])"
    assert tab.run(who) == "ada"
    tab.run("await client.sign_out()")
    tab.sign_in("grace")
    assert tab.run(who) == "grace"
    watch.forgive("Synchronous XMLHttpRequest")


def test_a_proxy_in_front_of_the_page_gets_its_cookie(tab: Library, proxy: HTTPProxy) -> None:
    """Sign-in, refresh and sign-out go through the same access proxy as the page itself."""
    tab.page.evaluate("document.cookie = 'gate=open'")
    try:
        tab.run("await client.refresh()\nawait client.sign_out()")
        tab.sign_in()
    finally:
        tab.page.evaluate("document.cookie = 'gate=; max-age=0'")
    sent = {call.path: call.headers.get("cookie") for call in proxy.received}
    assert sent == dict.fromkeys(("/api/refresh", "/api/logout", "/api/login"), "gate=open")


def test_a_refused_idempotency_key_is_named_for_developers(
    tab: Library, backend: ServerProcess, watch: Watch
) -> None:
    """Only with a POST to another origin, which has to allow the header."""
    watch.admit(backend.url)
    notes = (
        "async def notes(**options):\n"
        "    try:\n"
        f"        await client.post('{backend.url}/api/notes', **options)\n"
        "    except Exception as error:\n"
        "        return [type(error).__name__, *getattr(error, '__notes__', [])]\n"
    )
    with_key = "headers={'idempotency-key': '\"k\"', 'authorization': 'Bearer x'}"
    name, hint = tab.run(f"{notes}await notes({with_key})")
    assert name == "Unreachable"
    assert "Idempotency-Key" in hint
    name, hint = tab.run(f"{notes}await notes(headers={{'authorization': 'Bearer x'}})")
    assert "Authorization" in hint
    assert "Idempotency-Key" not in hint
    watch.forgive("CORS", "Cross-Origin", "Failed to load resource")
    expect(tab.page.locator("html")).to_have_attribute("data-ready", "true")


def test_examine_tells_a_refusal_by_cors_from_a_server_that_is_down(
    tab: Library, watch: Watch
) -> None:
    """The probe has neither a token nor cookies, and is made only when it is asked for."""
    closed, down = "http://closed.example", "http://down.example"
    elsewhere = {"access-control-allow-origin": "http://other.example"}
    tab.page.route(f"{closed}/**", lambda route: route.fulfill(json={}, headers=elsewhere))
    tab.page.route(f"{down}/**", lambda route: route.abort("connectionrefused"))
    for origin in (closed, down):
        watch.admit(origin)
        options = "headers={'authorization': 'Bearer x'}"
        assert (
            tab.run(f"await outcome(client.get('{origin}/x?secret', {options}))") == "Unreachable"
        )
    assert watch.count("HEAD /") == 0
    first, second = tab.run("(await client.examine())['last_failures'][-2:]")
    assert [first["url"], second["url"]] == [f"{closed}/x", f"{down}/x"]
    assert "CORS rules may not allow the origin" in first["reason"]
    assert "does not respond to this page at all" in second["reason"]
    probes = watch.calls("HEAD /")
    assert [sent.origin for sent in probes] == [closed, down]
    assert not any({"authorization", "cookie"} & {*sent.headers} for sent in probes)
    watch.forgive("CORS", "Cross-Origin", "Failed to load resource")
