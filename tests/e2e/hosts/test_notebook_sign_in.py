"""The tutorial's dashboard in a real JupyterLite: a link, a window, and the notebook goes on."""

import shutil
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.docs.pages import API, DOCS, snippets
from tests.e2e.hosts.conftest import SECONDS
from tests.support.lying_provider import LyingProvider
from tests.support.paths import ROOT
from tests.support.threaded_server import QuietHandler, ThreadedServer

TUTORIAL = DOCS / "tutorials" / "jupyterlite-dashboard.md"
PROVIDER = "https://login.example.com"
CALLBACK = ROOT / "app" / "unexpired" / "browser" / "callback"


@pytest.fixture
def provider() -> Iterator[LyingProvider]:
    """A provider, and the API of the readings; its access tokens live for two seconds."""
    with LyingProvider() as provider:
        provider.access_ttl = 2
        reading = {"Content-Type": "application/json"}, b'{"value": "12 degrees"}'
        provider.answers["/api/readings/latest"] = 200, *reading
        yield provider


@pytest.fixture
def site(lite: str, pages: Path) -> Iterator[str]:
    """The address of JupyterLite on a static host, with the files of the tutorial."""
    shutil.copytree(CALLBACK, pages / "app" / "lite" / "files", dirs_exist_ok=True)

    class StaticHost(QuietHandler, SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(pages / "app"))

    with ThreadedServer(StaticHost) as host:
        yield f"{host.url}{urlsplit(lite).path.removeprefix('/app')}"


def test_a_notebook_signs_in_by_a_link_and_follows_an_api_across_expiries(
    browser: Browser, site: str, provider: LyingProvider
) -> None:
    """The cell waits until the window behind the link has handed the answer over."""
    code = "\n".join(one.text for one in [*snippets(TUTORIAL, "python")][:2])
    code = code.replace(API, provider.url).replace(PROVIDER, provider.issuer)
    code = code.replace("seconds=10.0", "seconds=0.2")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{site}?{urlencode({'kernel': 'python', 'code': code})}")
        link = page.get_by_role("link", name="Sign in")
        expect(link).to_be_visible(timeout=SECONDS * 1000)
        with context.expect_page() as opened:
            link.click()
        expect(page.get_by_text("Welcome, Ada.")).to_be_visible()
        expect(page.get_by_text("12 degrees", exact=True)).to_be_visible()
        while provider.requests["/token"] < 4:  # The first is the sign-in's.
            page.wait_for_timeout(100)
        assert opened.value.is_closed() or "code=" not in opened.value.url
