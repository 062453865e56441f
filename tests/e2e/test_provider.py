"""A page at npm's oidc-provider: two tabs, expiries, outages, bound tokens, the way out."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.e2e.browser_library import Library, copy_page
from tests.e2e.conftest import ContextFactory
from tests.e2e.watch import Watch
from tests.support import provider_example
from tests.support.oidc_provider import OidcProvider, sign_in_on_page
from tests.support.provider_example import AUDIENCE, served

REFRESH = "POST /token"
OPEN = """
from unexpired.oidc import Provider
options = {{"issuer": {issuer!r}, "client_id": {client!r}, "redirect_uri": "/"}}
options |= {{"scope": "openid profile offline_access notes", "resource": {audience!r}}}
options |= {{"prompt": "consent", **{provider!r}}}
asked = {{"login_url": "", "provider": Provider(**options)}}
open_client(**asked, **{client_options!r}, draft=lambda: js.document.title)
"""


ASK_ON = """
async def ask_on():
    while True:
        await client.get('/api/greeting')
        await asyncio.sleep(0.1)
leaving = asyncio.ensure_future(outcome(ask_on()))
None
"""
FAILURE = """
try:
    await client.ready()
except Exception as error:
    failure = [error.code, str(error)]
failure
"""

provider = provider_example.provider
called = provider_example.called


@pytest.fixture(scope="module")
def home(provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the example's API, with a page that has all of the library."""
    page = tmp_path_factory.mktemp("home") / "page"
    copy_page(page)
    with served(page, provider) as home:
        yield home


@pytest.fixture(scope="module")
def shared_context(context_of: ContextFactory, home: str) -> BrowserContext:
    """A browser whose cache has the page's files."""
    return context_of(home)


@pytest.fixture
def context(
    shared_context: BrowserContext, provider: OidcProvider, home: str
) -> Iterator[BrowserContext]:
    """A browser without any session, here or at the provider, which works as it should."""
    shared_context.clear_cookies()
    page = shared_context.new_page()
    page.goto(f"{home}/openapi.json")
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.close()
    yield shared_context
    provider.change(failing={}, slow=0, lost_responses=0, rotate=True, always_refresh=False)
    provider.log()
    for page in shared_context.pages:
        page.close()


OpenTab = Callable[..., "Tab"]


class Tab:
    """A tab with the library, and a client that signs in at the provider.

    Args:
        library: The library in the tab.
        source: Opens the client.
    """

    def __init__(self, library: Library, source: str) -> None:
        self.library = library
        self.page = library.page
        self.source = source
        self.open()

    def open(self) -> None:
        """Open the client, as the page does whenever it is loaded."""
        self.library.run(f"{self.source}\nawait outcome(client.ready())")

    def opens_again(self) -> None:
        """Wait for the page that a redirect or a reload has opened, and open its client."""
        self.library.wait()
        self.open()

    def leaves(self, call: str = "client.sign_in()") -> None:
        """Begin a sign-in, which leaves the page."""
        with self.page.expect_navigation(wait_until="commit"):
            self.library.run(f"leaving = asyncio.ensure_future(outcome({call}))\nNone")

    def signs_in(self, call: str = "client.sign_in()", **how: Any) -> None:
        """Sign in at the provider's page."""
        self.leaves(call)
        sign_in_on_page(self.page, **how)
        self.opens_again()

    def asks(self) -> Any:
        """Ask the API; return the status or the name of the error."""
        return self.library.run("await outcome(client.get('/api/greeting'))")

    def sees(self, expression: str) -> Any:
        return self.library.run(expression)

    def state_after_refresh(self) -> str:
        """Return the state once no refresh is under way; tokens expire soon in these tests."""
        while (state := str(self.sees("client.state"))) == "refreshing":
            pass
        return state


@pytest.fixture
def open_tab(watch: Watch, provider: OidcProvider) -> OpenTab:
    """Open a tab, with further options of the provider and of the client."""

    def factory(client: str = "spa", *, options: dict[str, Any] | None = None, **more: Any) -> Tab:
        source = OPEN.format(
            issuer=provider.issuer,
            audience=AUDIENCE,
            client=client,
            provider=more,
            client_options=options or {},
        )
        return Tab(Library(watch.context.new_page(), "/"), source)

    return factory


@pytest.fixture
def tab(open_tab: OpenTab) -> Tab:
    return open_tab()


def test_a_person_signs_in_and_comes_back_where_they_were(tab: Tab, home: str) -> None:
    tab.page.evaluate("location.hash = '#/typing'; document.title = 'half a sentence'")
    tab.signs_in()
    expect(tab.page).to_have_url(f"{home}/#/typing")
    assert tab.sees("client.user['name']") == "Name of ada"
    assert tab.sees("client.take_draft()") == "half a sentence"
    assert tab.state_after_refresh() == "active"
    assert "code=" not in tab.page.evaluate("document.documentElement.outerHTML + location.href")


def test_code_and_state_leave_the_address_bar_before_anything_is_sent(
    tab: Tab, watch: Watch, home: str
) -> None:
    tab.leaves()
    with tab.page.expect_navigation(url="**/?code=**", wait_until="commit"):
        sign_in_on_page(tab.page)
    tab.library.wait()
    before = len(watch.sent)
    tab.library.run(f"{tab.source}\nNone")
    expect(tab.page).to_have_url(f"{home}/")
    assert not [sent for sent in watch.sent[before:] if sent.path in {"/token", "/api/greeting"}]


def test_calls_across_expiries_are_never_refused(tab: Tab, watch: Watch) -> None:
    tab.signs_in()
    while watch.count(REFRESH) < 4:
        assert tab.asks() == 200
    assert tab.state_after_refresh() == "active"


def test_two_tabs_share_one_session_and_its_refreshes(open_tab: OpenTab, watch: Watch) -> None:
    """The provider takes a refresh token once: two refreshes would end the session."""
    first = open_tab()
    first.signs_in()
    second = open_tab()
    assert second.state_after_refresh() == "active"
    while watch.count(REFRESH) < 5:
        assert [first.asks(), second.asks()] == [200, 200]
    second.leaves("client.sign_out()")
    first.library.page.wait_for_function("!localStorage.getItem('unexpired')")
    assert first.asks() == "NotSignedIn"


def test_a_sign_out_ends_the_session_at_the_provider_too(tab: Tab, watch: Watch, home: str) -> None:
    tab.signs_in()
    with tab.page.expect_navigation(url="**/session/end?**"):
        tab.library.run("leaving = asyncio.ensure_future(client.sign_out())\nNone")
    with tab.page.expect_navigation(url=f"{home}/"):
        tab.page.get_by_role("button", name="Sign out").click()
    assert watch.count("POST /token/revocation") == 1
    tab.opens_again()
    assert tab.sees("client.state") == "anonymous"
    tab.leaves()
    expect(tab.page.locator("input[name=login]")).to_be_visible()  # It asks who it is again.


def test_an_outage_of_the_provider_signs_nobody_out(
    tab: Tab, provider: OidcProvider, watch: Watch
) -> None:
    tab.signs_in()
    provider.fail(token=503)
    while tab.asks() == 200:
        pass
    assert tab.sees("client.state") == "degraded"
    provider.fail()
    tab.sees("client.wake(resume=True)\nNone")
    while tab.asks() != 200:
        pass
    assert tab.state_after_refresh() == "active"
    # A failing provider does not send its headers.
    watch.forgive("CORS policy", "ERR_FAILED", "Same Origin Policy")


def test_a_session_that_the_provider_ends_ends_once(
    open_tab: OpenTab, provider: OidcProvider, watch: Watch
) -> None:
    tab = open_tab(options={"on_expired": "event"})
    tab.signs_in()
    provider.revoke_grants()
    while tab.asks() == 200:
        pass
    assert tab.asks() == "SessionExpired"
    assert tab.sees("[event[0] for event in events].count('expired')") == 1
    watch.forgive("400")


def test_bound_tokens_are_signed_for_the_provider_and_the_api(
    open_tab: OpenTab, watch: Watch
) -> None:
    """The provider requires nonces, which every client has to learn."""
    tab = open_tab("spa-dpop", dpop=True)
    tab.signs_in()
    while watch.count(REFRESH) < 5:
        assert tab.asks() == 200
    assert all("dpop" in sent.headers for sent in watch.calls(REFRESH))
    calls = watch.calls("GET /api/greeting")
    assert all(sent.headers["authorization"].startswith("DPoP ") for sent in calls)
    watch.forgive("400", "401")


def test_without_refresh_tokens_the_page_leaves_at_the_end(open_tab: OpenTab) -> None:
    """The person is still signed in at the provider, and sees nothing of it."""
    tab = open_tab(scope="openid notes", prompt="")
    tab.signs_in()
    with tab.page.expect_navigation(url="**/?code=**", wait_until="commit"):
        tab.library.run(ASK_ON)
    tab.opens_again()
    assert tab.asks() == 200


def test_a_silent_renewal_asks_only_if_it_must(open_tab: OpenTab, provider: OidcProvider) -> None:
    tab = open_tab(scope="openid notes", prompt="", silent=True)
    tab.signs_in()
    provider.end_browser_sessions()
    with tab.page.expect_navigation(url="**/?error=login_required**", wait_until="commit"):
        tab.library.run(ASK_ON)
    tab.library.wait()
    with tab.page.expect_navigation(url="**/interaction/**"):
        tab.library.run(f"{tab.source}\nleaving = asyncio.ensure_future(client.ready())\nNone")
    sign_in_on_page(tab.page)
    tab.opens_again()
    assert tab.asks() == 200


def test_a_refusal_is_a_sentence(tab: Tab) -> None:
    tab.leaves()
    sign_in_on_page(tab.page, refuses=True)
    tab.library.wait()
    tab.library.run(f"{tab.source}\nNone")
    assert tab.sees(FAILURE) == [
        "access_denied",
        "Signing in was cancelled, or your account may not be used here.",
    ]


def test_a_reload_and_back_after_the_sign_in_change_nothing(
    tab: Tab, provider: OidcProvider
) -> None:
    tab.leaves()
    sign_in_on_page(tab.page)
    answer = tab.page.url
    tab.opens_again()
    tab.page.goto(answer)
    tab.opens_again()
    assert tab.asks() == 200
    grants = [entry.get("grant") for entry in provider.log()]
    assert grants.count("authorization_code") == 1


def test_another_browser_cannot_use_a_link_with_a_code(open_tab: OpenTab, watch: Watch) -> None:
    """A thief has a link with a code; or sends one of their own, to be signed in as them."""
    tab = open_tab()
    tab.leaves()
    with tab.page.expect_navigation(url="**/?code=**", wait_until="commit"):
        sign_in_on_page(tab.page)
    answer = tab.page.url
    tab.page.evaluate("sessionStorage.clear()")
    tab.page.goto(answer)
    tab.opens_again()
    assert tab.sees("client.state") == "anonymous"
    assert watch.count(REFRESH) == 0
