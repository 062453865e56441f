"""The guide to WebSockets, with its page in a browser and its application behind it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.docs.pages import API, DOCS, snippets
from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory
from tests.support.one_user import PASSWORD, USER
from tests.support.served_app import ServedApp

GUIDE = DOCS / "how-to" / "websockets.md"
COUNT = """
texts = []
add_event_listener(socket, "message", lambda event: texts.append(event.data))
"""
LIFE = 4

CORS = """
from fastapi.middleware.cors import CORSMiddleware

app.add_middleware(
    CORSMiddleware,
    allow_origins=["*"],
    allow_methods=["*"],
    allow_headers=["Authorization", "Content-Type", "DPoP"],
    expose_headers=["WWW-Authenticate", "Retry-After", "DPoP-Nonce"],
)
"""

SIGN_IN = """
from unexpired import AsyncClient

visitor = AsyncClient.in_browser(base_url={api!r})
await visitor.sign_in({user!r}, {password!r})
visitor.close()
printed = []
print = lambda *words: printed.append(words)
None
"""


@pytest.fixture(scope="module", params=["refresh", "all"])
def chat(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ServedApp]:
    """The guide's application; the page of the tests is on another origin."""
    code = (one for one in snippets(GUIDE, "python") if one.is_for_programs)
    text = "\n".join([*(one.text for one in code), CORS])
    settings: dict[str, Any] = {"access_ttl": LIFE, "leeway": 0, "dpop": request.param}
    app = ServedApp(tmp_path_factory.mktemp("chat"), text, **settings).start()
    yield app
    app.stop()


@pytest.fixture
def page(home: str, context_of: ContextFactory, browser_name: str) -> Iterator[Page]:
    context: BrowserContext = context_of(home)
    if browser_name == "chromium":  # To it, the application is on another network than the page.
        context.grant_permissions(["local-network-access"])
    page = context.new_page()
    yield page
    page.close()


def until(page: Page, is_so: Callable[[], bool]) -> None:
    """Wait for a condition, while the page goes on."""
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        page.evaluate("0")


def test_a_pages_socket_is_renewed_by_the_client_and_outlives_its_token(
    page: Page, chat: ServedApp
) -> None:
    """The page's code runs unchanged; the socket is used after more than one token's life."""
    (snippet,) = (one for one in snippets(GUIDE, "python") if one.needs_browser)
    text = snippet.text.replace(API.replace("https", "wss"), chat.url.replace("http", "ws"))
    library = Library(page)
    library.run(SIGN_IN.format(api=chat.url, user=USER, password=PASSWORD))
    library.run(f"{text.replace(API, chat.url)}\n{COUNT}\nNone")
    until(page, lambda: library.run("sum('ready' in text for text in texts)") > 2)
    library.run("socket.send(json.dumps({'text': 'hello'}))\nNone")
    until(page, lambda: bool(library.run("printed")))
    ((who, said),) = library.run("printed")
    assert re.fullmatch("[0-9a-f]{32}", who)
    assert said == "hello"
