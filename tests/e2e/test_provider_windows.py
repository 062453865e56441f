"""Signing in without leaving the page, at npm's oidc-provider: a pop-up, and a worker's link."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.e2e.browser_library import Library, copy_page
from tests.e2e.conftest import ContextFactory
from tests.e2e.test_windows import COOP, MODULES, START_WORKER
from tests.e2e.watch import Watch
from tests.support import provider_example
from tests.support.oidc_provider import OidcProvider, sign_in_on_page
from tests.support.provider_example import ACCESS_TTL, AUDIENCE, served

REFRESH = "POST /token"
OPTIONS = """
from unexpired.oidc import Provider
options = {{
    "login_url": "",
    "provider": Provider(
        issuer={issuer!r},
        client_id="spa",
        audience={audience!r},
        popup_redirect_uri="/callback.html",
        post_logout_redirect_uri=None,
    ),
}}
"""
BUTTON = """
from pyodide.ffi import create_proxy

def sign_in(js_event):
    global signing_in
    signing_in = asyncio.ensure_future(reason(client.sign_in(popup=True)))

async def reason(sign_in):
    try:
        await sign_in
    except Exception as error:
        return getattr(error, "code", repr(error))

js_button = js.document.createElement("button")
js_button.textContent = "Sign in"
js_button.addEventListener("click", create_proxy(sign_in))
js.document.body.replaceChildren(js_button)
"""
WORKER = """
import asyncio, js, json
from unexpired import AsyncClient
refreshes, statuses = [], set()
client = await AsyncClient.in_browser(**options).ready()
client.on("refreshed", lambda *_: refreshes.append(1))
await client.sign_in(popup=lambda url: js.postMessage(url))
while len(refreshes) < 3:
    statuses.add((await client.get("/api/greeting")).status_code)
    await asyncio.sleep(0.1)
name = client.user["name"]
await client.sign_out()
json.dumps([name, *statuses, client.state])
"""

pytestmark = pytest.mark.usefixtures("watch")

called = provider_example.called


@pytest.fixture(scope="module")
def oidc_provider() -> Iterator[OidcProvider]:
    """The provider, which is on another site."""
    with OidcProvider(host="localhost", access_ttl=ACCESS_TTL, always_refresh=True) as provider:
        yield provider


@pytest.fixture(scope="module")
def home(oidc_provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the example's API, with the page, its worker and the callback page."""
    page = tmp_path_factory.mktemp("home") / "page"
    copy_page(page)
    for file in (page / "app" / "unexpired" / "browser" / "callback").iterdir():
        shutil.copy(file, page)
    with served(page, oidc_provider) as home:
        oidc_provider.change(redirect_uris=[f"{home}/callback.html"])
        yield home


@pytest.fixture(params=[{}, COOP], ids=["in reach", "cut off"])
def provider(oidc_provider: OidcProvider, request: pytest.FixtureRequest) -> OidcProvider:
    """The same, whose pages cut a window off from its opener, or do not."""
    oidc_provider.change(headers=request.param)
    oidc_provider.end_browser_sessions()
    oidc_provider.log()
    return oidc_provider


@pytest.fixture(scope="module")
def browser_library(context_of: ContextFactory, home: str) -> Library:
    """A page with the library, started once."""
    library = Library(context_of(home).new_page(), "/")
    library.page.unroute_all()  # The server has the worker's script, too: see copy_page().
    return library


@pytest.fixture
def context(browser_library: Library) -> Iterator[BrowserContext]:
    """The browser context of the page; a test's other windows are closed after it."""
    context = browser_library.page.context
    yield context
    for page in context.pages:
        if page != browser_library.page:
            page.close()


@pytest.fixture
def options(provider: OidcProvider) -> str:
    """Python that makes the options of a client."""
    return OPTIONS.format(issuer=provider.issuer, audience=AUDIENCE)


@pytest.fixture
def library(browser_library: Library, options: str) -> Iterator[Library]:
    """The page, with a button to sign in."""
    browser_library.run(f"{options}\nopen_client(**options)\nawait client.ready()\n{BUTTON}\nNone")
    yield browser_library
    browser_library.run("client.close()\nNone")


def opened(library: Library, role: Any = "button") -> Page:
    """Open the provider's window by a click."""
    with library.page.context.expect_page() as window:
        library.page.get_by_role(role, name="Sign in").click()
    return window.value


def signs_in(window: Page, *, refuses: bool = False) -> None:
    """Sign in, or cancel, in a window that then closes itself."""
    with window.expect_event("close"):
        sign_in_on_page(window, refuses=refuses)


def test_a_popup_signs_in_and_the_session_survives_its_expiries(
    library: Library, provider: OidcProvider, watch: Watch
) -> None:
    """The page is never left, and the sign-out revokes."""
    address = library.page.url
    popup = opened(library)
    signs_in(popup)
    assert library.run("[await signing_in, client.user['name']]") == [None, "Name of ada"]
    while watch.count(REFRESH) < 4:  # The first is the sign-in's.
        assert library.run("await outcome(client.get('/api/greeting'))") == 200
    library.run("await client.sign_out()")
    assert [one["status"] for one in provider.log() if one["path"].endswith("/revocation")] == [200]
    assert library.page.url == address


def test_a_refusal_in_a_popup_is_the_providers_code(library: Library) -> None:
    popup = opened(library)
    signs_in(popup, refuses=True)
    assert library.run("await signing_in") == "access_denied"
    assert library.run("client.state") == "anonymous"


def test_a_worker_signs_in_by_a_link_and_its_session_survives_its_expiries(
    library: Library, provider: OidcProvider, options: str
) -> None:
    """The page shows the link, and the window behind it is cut off from everything."""
    library.page.evaluate("document.body.replaceChildren()")
    library.page.evaluate(START_WORKER, [MODULES, options + WORKER])
    window = opened(library, "link")
    signs_in(window)
    library.page.wait_for_function("received.length > 1")
    (_, told) = library.page.evaluate("received")
    assert told == '["Name of ada", 200, "anonymous"]'
    assert [one["status"] for one in provider.log() if one["path"].endswith("/revocation")] == [200]
