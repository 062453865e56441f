"""The library in a browser, judged by the requests that it sends to the server."""

import time

import pytest
from playwright.sync_api import BrowserContext, Route

from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory
from tests.e2e.watch import Watch
from tests.support.server_process import PASSWORDS, ServerProcess
from unexpired.messages import Auth

ME = "GET /api/me"
REFRESH = "POST /api/refresh"
GET_ME = "await outcome(client.get('/api/me'))"


@pytest.fixture(scope="session")
def browser_library(context_of: ContextFactory, serve: ServerFactory) -> Library:
    """The library in a page, started once; each test opens a new client."""
    return Library(context_of(serve().url).new_page())


@pytest.fixture
def context(browser_library: Library) -> BrowserContext:
    """The browser context of the page."""
    return browser_library.page.context


@pytest.fixture
def library(browser_library: Library, watch: Watch) -> Library:
    """The library, signed out."""
    browser_library.reset()
    watch.sent.clear()
    return browser_library


@pytest.fixture
def signed_in(library: Library, watch: Watch) -> Library:
    """The library with a session; requests so far are forgotten."""
    library.sign_in()
    watch.sent.clear()
    return library


@pytest.fixture
def outdated(signed_in: Library, backend: ServerProcess) -> Library:
    """The library with an access token that has expired without the client knowing."""
    signed_in.reopen(accessToken=backend.expired(signed_in.record["accessToken"]))
    return signed_in


def test_a_call_with_a_valid_token_is_one_request(signed_in: Library, watch: Watch) -> None:
    """It bears the token, and nothing is refreshed."""
    assert signed_in.run(GET_ME) == 200
    assert [sent.call for sent in watch.sent] == [ME]
    assert watch.sent[0].headers["authorization"] == f"Bearer {signed_in.record['accessToken']}"


def test_an_expired_token_is_refreshed_and_the_call_retried(
    outdated: Library, watch: Watch
) -> None:
    """The caller sees the 200 of the second attempt only."""
    assert outdated.run(GET_ME) == 200
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]
    first, second = (sent.headers["authorization"] for sent in watch.calls(ME))
    assert first != second


def test_a_hundred_parallel_calls_share_one_refresh(outdated: Library, watch: Watch) -> None:
    """All of them find the token expired."""
    calls = "await asyncio.gather(*(outcome(client.get('/api/me')) for _ in range(100)))"
    assert outdated.run(calls) == [200] * 100
    assert watch.count(REFRESH) == 1


def test_a_call_is_retried_once(signed_in: Library, watch: Watch) -> None:
    """An API that always responds TOKEN_EXPIRED gets two requests; the second 401 is returned."""
    respond(signed_in, 401, "TOKEN_EXPIRED")
    assert signed_in.run(GET_ME) == 401
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]
    assert signed_in.run("client.state") == "active"


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "SOMETHING_ELSE"), (403, "FORBIDDEN"), (400, ""), (405, ""), (500, "")],
)
def test_a_response_that_is_not_about_the_token_is_returned(
    signed_in: Library, watch: Watch, status: int, code: str
) -> None:
    """It causes no refresh, and the session stays."""
    respond(signed_in, status, code)
    assert signed_in.run(GET_ME) == status
    assert [sent.call for sent in watch.sent] == [ME]
    assert signed_in.run("client.state") == "active"


def test_an_unreachable_api_does_not_end_the_session(
    signed_in: Library, watch: Watch, context: BrowserContext
) -> None:
    """The call raises Unreachable, and nothing is refreshed."""
    context.set_offline(offline=True)
    assert signed_in.run(GET_ME) == "Unreachable"
    assert watch.count(REFRESH) == 0
    assert signed_in.run("client.state") == "active"
    assert signed_in.record


def test_calls_without_a_session_redirect_to_sign_in_once(library: Library, watch: Watch) -> None:
    """Five calls send nothing."""
    before = library.page.evaluate("history.length")
    calls = "await asyncio.gather(*(outcome(client.get('/api/me')) for _ in range(5)))"
    assert library.run(calls) == ["NotSignedIn"] * 5
    assert watch.sent == []
    assert library.page.evaluate("location.hash").startswith("#/login?next=")
    assert library.page.evaluate("history.length") == before + 1


@pytest.mark.parametrize("auth", [False, "optional"])
def test_a_public_call_without_a_session_is_answered_and_redirects_nobody(
    library: Library, watch: Watch, auth: Auth
) -> None:
    """A 401 to it is data."""
    calls = f"[await outcome(client.get(url, auth={auth!r})) for url in ('/healthz', '/api/me')]"
    assert library.run(calls) == [200, 401]
    assert "authorization" not in watch.calls(ME)[0].headers
    assert library.page.evaluate("location.hash") == ""
    assert library.run("client.state") == "anonymous"


def test_an_optional_call_whose_session_was_revoked_is_answered_where_the_person_is(
    signed_in: Library, watch: Watch
) -> None:
    """The session ends with its event; the next call that needs it redirects."""

    def revoke(route: Route) -> None:
        is_signed_in = "authorization" in route.request.headers
        over = {"error": "Over.", "code": "SESSION_REVOKED"}
        route.fulfill(status=401, json=over) if is_signed_in else route.fulfill(json={})

    signed_in.page.route("**/api/me", revoke)
    assert signed_in.run("await outcome(client.get('/api/me', auth='optional'))") == 200
    assert watch.count(ME) == 2
    assert signed_in.run("events") == [["signed_in"], ["expired", "SESSION_REVOKED"]]
    assert signed_in.page.evaluate("location.hash") == ""
    assert signed_in.run(GET_ME) == "SessionEnded"
    assert signed_in.page.evaluate("location.hash").startswith("#/login?next=")


def test_a_session_from_elsewhere_is_adopted_and_a_token_is_handed_on(
    library: Library, watch: Watch
) -> None:
    """As after a sign-up; a token that is due is refreshed first."""
    ada = {"username": "ada", "password": PASSWORDS["ada"]}
    library.run(
        f"response = await client.post('/api/login', json={ada}, auth=False)\n"
        "await client.adopt(response)"
    )
    assert library.run("events") == [["signed_in"]]
    assert library.run("client.user['username']") == "ada"
    assert library.run(GET_ME) == 200
    assert library.run("await client.token()") == library.record["accessToken"]
    library.reopen(expiresAt=time.time() + 5)
    assert library.run("await client.token()") == library.record["accessToken"]
    assert (watch.count(REFRESH), library.record["generation"]) == (1, 2)


def test_a_token_is_refreshed_before_it_expires_and_not_too_early(
    signed_in: Library, watch: Watch
) -> None:
    """With 61 s left nothing is refreshed; with 59 s left it is, before any 401."""
    signed_in.reopen(expiresAt=time.time() + 61)
    assert signed_in.run(GET_ME) == 200
    assert watch.count(REFRESH) == 0
    signed_in.reopen(expiresAt=time.time() + 59)
    assert signed_in.run(GET_ME) == 200
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]


def test_the_session_survives_an_outage_with_an_expired_token(
    outdated: Library, context: BrowserContext
) -> None:
    """The call raises Unreachable, the tokens stay, and the session recovers with the network."""
    outdated.reopen(expiresAt=time.time() - 1, options="refresh_timeout=1")
    before = outdated.record
    context.set_offline(offline=True)
    outdated.run("await client.ready()\nNone")
    assert outdated.run(GET_ME) == "Unreachable"
    assert outdated.run("client.state") == "degraded"
    assert outdated.record["refreshToken"] == before["refreshToken"]
    context.set_offline(offline=False)
    outdated.run("while client.state != 'active': await asyncio.sleep(0.02)")
    assert outdated.run("[name for name, *_ in events]") == ["degraded", "refreshed", "recovered"]
    assert outdated.run(GET_ME) == 200


def test_a_refused_refresh_ends_the_session_once_for_all_waiting_calls(
    outdated: Library, watch: Watch
) -> None:
    """Twenty calls wait: one event, one redirect, twenty errors."""
    refusal = {"error": "Over.", "code": "REFRESH_EXPIRED"}
    outdated.page.route("**/api/refresh", lambda route: route.fulfill(status=401, json=refusal))
    outdated.reopen(expiresAt=time.time() - 1)
    before = outdated.page.evaluate("history.length")
    calls = "await asyncio.gather(*(outcome(client.get('/api/me')) for _ in range(20)))"
    assert outdated.run(calls) == ["SessionExpired"] * 20
    assert watch.count(REFRESH) == 1
    assert outdated.run("events") == [["expired", "REFRESH_EXPIRED"]]
    assert "reason=expired" in outdated.page.evaluate("location.hash")
    assert outdated.page.evaluate("history.length") == before + 1
    assert outdated.record == {}


GOOD = "/#/notes?page=2"


@pytest.mark.parametrize(
    "evil",
    [
        *("//evil.example", "/\\evil.example", "https:evil.example", "https://evil.example/"),
        *("javascript:alert(1)", "data:text/html,x", "\t//evil.example", "/\t/evil.example"),
        *("/\n/evil.example", "/%2e%2e//evil.example", "/#/login", "/#/login?next=/", ""),
    ],
)
def test_an_unsafe_return_path_becomes_the_default(library: Library, evil: str) -> None:
    """Anything but a path of this origin, and the sign-in page itself."""
    assert return_path(library, evil) == "/home"


def test_a_return_path_keeps_its_query_and_hash(library: Library) -> None:
    """It is a path of this origin."""
    assert return_path(library, GOOD) == GOOD


def return_path(library: Library, wanted: str) -> str:
    """Return what ``return_path`` makes of a ``next`` in the address."""
    library.page.evaluate(
        "next => { location.hash = '#/login?next=' + encodeURIComponent(next) }", wanted
    )
    path: str = library.run("client.return_path('/home')")
    return path


def respond(library: Library, status: int, code: str) -> None:
    """Make the API respond with this from now on."""

    def fulfill(route: Route) -> None:
        route.fulfill(status=status, json={"error": "No.", "code": code})

    library.page.route("**/api/me", fulfill)
