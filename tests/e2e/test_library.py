"""The library in a real browser against the real server; what counts is what was sent."""

import time

import pytest
from playwright.sync_api import BrowserContext, Route

from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory
from tests.e2e.watch import Watch
from tests.support.server_process import ServerProcess

ME = "GET /api/me"
REFRESH = "POST /api/refresh"
GET_ME = "await outcome(client.get('/api/me'))"


@pytest.fixture(scope="session")
def browser_library(context_of: ContextFactory, serve: ServerFactory) -> Library:
    """The library in a page of its own, started once: each test gets a client of its own."""
    return Library(context_of(serve().url).new_page())


@pytest.fixture
def context(browser_library: Library) -> BrowserContext:
    """The browser context of the one page."""
    return browser_library.page.context


@pytest.fixture
def library(browser_library: Library, watch: Watch) -> Library:
    """The library, where nobody is signed in."""
    browser_library.reset()
    watch.sent.clear()
    return browser_library


@pytest.fixture
def signed_in(library: Library, watch: Watch) -> Library:
    """The library with a session; nothing before this counts."""
    library.sign_in()
    watch.sent.clear()
    return library


@pytest.fixture
def outdated(signed_in: Library, backend: ServerProcess) -> Library:
    """The library with a session whose access token has expired, which only the server knows."""
    signed_in.reopen(accessToken=backend.expired(signed_in.record["accessToken"]))
    return signed_in


def test_a_valid_token_goes_with_one_call_and_no_refresh(signed_in: Library, watch: Watch) -> None:
    """A call with a valid token is one request with the bearer token, and no refresh."""
    assert signed_in.run(GET_ME) == 200
    assert [sent.call for sent in watch.sent] == [ME]
    assert watch.sent[0].headers["authorization"] == f"Bearer {signed_in.record['accessToken']}"


def test_an_expired_token_is_refreshed_and_the_call_repeated(
    outdated: Library, watch: Watch
) -> None:
    """The caller of a call with an expired token sees only the 200 of the second attempt."""
    assert outdated.run(GET_ME) == 200
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]
    first, second = (sent.headers["authorization"] for sent in watch.calls(ME))
    assert first != second


def test_a_hundred_parallel_calls_share_one_refresh(outdated: Library, watch: Watch) -> None:
    """However many calls find the token expired, one refresh serves them all."""
    calls = "await asyncio.gather(*(outcome(client.get('/api/me')) for _ in range(100)))"
    assert outdated.run(calls) == [200] * 100
    assert watch.count(REFRESH) == 1


def test_an_api_that_always_says_expired_gets_two_calls_and_no_loop(
    signed_in: Library, watch: Watch
) -> None:
    """The second 401 is handed back after one refresh."""
    answer(signed_in, 401, "TOKEN_EXPIRED")
    assert signed_in.run(GET_ME) == 401
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]
    assert signed_in.run("client.state") == "active"


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "SOMETHING_ELSE"), (403, "FORBIDDEN"), (400, ""), (405, ""), (500, "")],
)
def test_an_answer_about_something_else_is_handed_back(
    signed_in: Library, watch: Watch, status: int, code: str
) -> None:
    """An answer that says nothing about the token refreshes nothing and ends nothing."""
    answer(signed_in, status, code)
    assert signed_in.run(GET_ME) == status
    assert [sent.call for sent in watch.sent] == [ME]
    assert signed_in.run("client.state") == "active"


def test_an_api_that_cannot_be_reached_costs_no_session(
    signed_in: Library, watch: Watch, context: BrowserContext
) -> None:
    """Without a network a call ends as Unreachable; there is no refresh and no sign-out."""
    context.set_offline(offline=True)
    assert signed_in.run(GET_ME) == "Unreachable"
    assert watch.count(REFRESH) == 0
    assert signed_in.run("client.state") == "active"
    assert signed_in.record


def test_a_call_without_a_session_leads_to_sign_in_once(library: Library, watch: Watch) -> None:
    """Five calls of nobody send nothing, and lead to the sign-in page once."""
    before = library.page.evaluate("history.length")
    calls = "await asyncio.gather(*(outcome(client.get('/api/me')) for _ in range(5)))"
    assert library.run(calls) == ["NotSignedIn"] * 5
    assert watch.sent == []
    assert library.page.evaluate("location.hash").startswith("#/login?next=")
    assert library.page.evaluate("history.length") == before + 1


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


def test_an_outage_with_an_expired_token_is_survived(
    outdated: Library, context: BrowserContext
) -> None:
    """The call ends typed, the tokens stay, and the session recovers with the network."""
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


def test_a_refused_refresh_ends_the_session_once_for_all_who_wait(
    outdated: Library, watch: Watch
) -> None:
    """Twenty calls wait for a refresh that is refused: one event, one redirect, twenty errors."""
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
def test_a_return_address_never_leads_astray(library: Library, evil: str) -> None:
    """What is not plainly a place inside this origin, or is sign-in itself, gives the default."""
    assert return_path(library, evil) == "/home"


def test_a_good_return_address_is_kept_whole(library: Library) -> None:
    """A path of this origin comes back with its query and hash."""
    assert return_path(library, GOOD) == GOOD


def return_path(library: Library, wanted: str) -> str:
    """What the library makes of a `next` in the address."""
    library.page.evaluate(
        "next => { location.hash = '#/login?next=' + encodeURIComponent(next) }", wanted
    )
    path: str = library.run("client.return_path('/home')")
    return path


def answer(library: Library, status: int, code: str) -> None:
    """Have the API answer this from now on."""

    def fulfill(route: Route) -> None:
        route.fulfill(status=status, json={"error": "No.", "code": code})

    library.page.route("**/api/me", fulfill)
