"""The tutorial's dashboard in a real JupyterLite, with a real provider: link, code, expiries."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import Request
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.docs.pages import API, DOCS, snippets
from tests.e2e.conftest import ContextFactory
from tests.e2e.hosts.conftest import SECONDS
from tests.support.oidc_provider import OidcProvider, sign_in_on_page
from tests.support.paths import ROOT
from tests.support.threaded_server import QuietHandler, ThreadedServer
from tests.support.verifying_api import VerifyingApi

TUTORIAL = DOCS / "tutorials" / "jupyterlite-dashboard.md"
SIGN_IN, FOLLOW, SIGN_IN_ELSEWHERE = (one.text for one in snippets(TUTORIAL, "python"))
CALLBACK = ROOT / "app" / "unexpired" / "browser" / "callback"
PROVIDER, CLIENT = "https://login.example.com", 'client_id="dashboard"'
AUDIENCE = "https://readings.example"
ACCESS_TTL = 2  # s
REFRESHES = 4


@pytest.fixture(scope="module")
def site(pages: Path, lite: str) -> Iterator[str]:
    """The address of a static host with JupyterLite and the files of the tutorial."""
    assert lite  # It is in the folder of the pages.
    shutil.copytree(CALLBACK, pages / "app" / "lite" / "files", dirs_exist_ok=True)

    class StaticHost(QuietHandler, SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(pages / "app"))

    with ThreadedServer(StaticHost) as host:
        yield host.url


@pytest.fixture(scope="module")
def provider(site: str) -> Iterator[OidcProvider]:
    """The provider, which is on another site."""
    with OidcProvider(
        host="localhost",
        access_ttl=ACCESS_TTL,
        always_refresh=True,
        redirect_uris=[f"{site}/lite/files/callback.html"],
        origins=[site],
    ) as provider:
        yield provider


@pytest.fixture(scope="module")
def readings(provider: OidcProvider, site: str) -> Iterator[VerifyingApi]:
    """The API of the tutorial, on an origin of its own. Each reading is a new one."""
    api = VerifyingApi(provider.issuer, AUDIENCE, site)
    values = iter(range(1, 1_000_000))

    @api.app.get("/api/readings/latest")
    async def latest(request: Request) -> dict[str, int]:
        await api.user(request)
        return {"value": next(values)}

    with api:
        yield api


class Notebook:
    """A notebook that runs cells, one after the other.

    Args:
        page: The browser tab.
        address: The JupyterLite.
        cells: The texts of the cells.
    """

    def __init__(self, page: Page, address: str, *cells: str) -> None:
        self.page = page
        asked = [("kernel", "python"), *(("code", cell) for cell in cells)]
        page.goto(f"{address}?{urlencode(asked)}")

    def shows(self, text: str) -> Locator:
        """Wait for an output with this text."""
        output = self.page.locator(".jp-OutputArea-output", has_text=text).first
        output.wait_for(timeout=SECONDS * 1000)
        return output

    def shows_next_reading(self) -> None:
        """Wait until the dashboard shows another reading."""
        reading = self.page.locator(".jp-OutputArea-output b").last
        expect(reading).not_to_have_text(reading.inner_text(timeout=SECONDS * 1000))
        expect(reading).to_have_text(re.compile(r"\d+"))

    def run(self, cell: str) -> None:
        """Run one more cell, of one line."""
        prompt = self.page.locator(".jp-CodeConsole-promptCell .cm-content")
        prompt.fill(cell)
        prompt.press("Shift+Enter")


OpenNotebook = Callable[..., Notebook]


@pytest.fixture(scope="module")
def browser_context(new_context: ContextFactory, site: str) -> Iterator[BrowserContext]:
    """A browser whose cache has the JupyterLite."""
    context = new_context(site)
    yield context
    context.close()


@pytest.fixture
def context(browser_context: BrowserContext) -> Iterator[BrowserContext]:
    """The same, without any session, here or at the provider."""
    browser_context.clear_cookies()
    yield browser_context
    for page in browser_context.pages:
        page.close()


@pytest.fixture
def open_notebook(
    context: BrowserContext, site: str, provider: OidcProvider, readings: VerifyingApi
) -> OpenNotebook:
    """Open a notebook with cells of the tutorial, for a client of the provider."""

    def factory(*cells: str, client: str = "spa") -> Notebook:
        text = "\0".join(cells)
        for theirs, ours in {
            API: readings.url,
            PROVIDER: provider.issuer,
            CLIENT: f'client_id="{client}",\n        audience="{AUDIENCE}"',
            "seconds=10.0": "seconds=0.1",
        }.items():
            text = text.replace(theirs, ours)
        address = f"{site}/lite/repl/index.html"
        return Notebook(context.new_page(), address, *text.split("\0"))

    return factory


def test_a_notebook_signs_in_by_a_link_and_follows_its_api_across_expiries(
    open_notebook: OpenNotebook, provider: OidcProvider
) -> None:
    """Its restart finds the session, and a sign-out in one notebook ends it in the other."""
    first = open_notebook(SIGN_IN, FOLLOW)
    with first.page.context.expect_page() as window:
        first.shows("Sign in").get_by_role("link").click()
    with window.value.expect_event("close"):
        sign_in_on_page(window.value)
    first.shows("Welcome, Name of ada.")
    refreshes = 0
    while refreshes < REFRESHES:
        first.shows_next_reading()
        refreshes += grants(provider).count("refresh_token")
    second = open_notebook(SIGN_IN)
    second.shows("Welcome, Name of ada.")
    second.run("await client.sign_out(); client.state")
    second.shows("'anonymous'")
    first.shows("Please")  # "sign in", or "log in again" if a request was under way.
    assert revocations(provider) == [200]


def test_a_notebook_signs_in_by_a_code_that_is_entered_elsewhere(
    open_notebook: OpenNotebook, provider: OidcProvider
) -> None:
    """The code is the same on both screens; the session is refreshed as any other."""
    client_only, _ = SIGN_IN.split("await client.ready()")
    notebook = open_notebook(client_only, SIGN_IN_ELSEWHERE, FOLLOW, client="device")
    shown = notebook.shows("The code is")
    with notebook.page.context.expect_page() as window:
        shown.get_by_role("link", name=f"{provider.issuer}/device").click()
    window.value.wait_for_load_state()
    expect(window.value.locator("code")).to_have_text(shown.locator("b").inner_text())
    window.value.get_by_role("button", name="Continue").click()
    sign_in_on_page(window.value)
    expect(window.value.get_by_role("heading")).to_have_text("You are signed in")
    while "refresh_token" not in grants(provider):
        notebook.shows_next_reading()
    notebook.run("await client.sign_out(); client.state")
    notebook.shows("'anonymous'")


def grants(provider: OidcProvider) -> list[str]:
    """Return the grants of the token requests since the last time."""
    return [entry["grant"] for entry in provider.log() if entry["path"] == "/token"]


def revocations(provider: OidcProvider) -> list[int]:
    """Return the statuses of the revocations since the last time."""
    log = provider.log()
    return [entry["status"] for entry in log if entry["path"] == "/token/revocation"]
