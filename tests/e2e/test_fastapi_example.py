"""The FastAPI example, called by a page of another origin as its docstring says."""

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from playwright.sync_api import BrowserContext

from build_example import build
from examples.fastapi_backend import main as example
from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory
from tests.e2e.watch import Watch
from tests.support.clock import FakeClock
from tests.support.library_page import FOLDER

TOKEN = "POST /token"
ASK = "(await client.get('/users/me')).json()"
PLAIN_401 = "Failed to load resource"
OWN_ORIGIN = "connect-src 'self'"
BLOCKED = ("blocked by CORS policy", "Same Origin Policy")  # Messages of Chromium and Firefox.


@dataclass(frozen=True)
class Api:
    """The running example: its address and its clock."""

    url: str
    clock: FakeClock


@pytest.fixture(scope="module")
def page_origin(serve: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The origin of the page: a server that is not the API's.

    The page is the ten-line example, with a policy that allows the API, and the tests' Python. A
    server has to serve it, because browsers let only local pages call a local API.
    """
    folder = tmp_path_factory.mktemp("fastapi") / "page"
    build("ten_lines", folder)
    shutil.copy(FOLDER / "library.py", folder / "app" / "main.py")
    page = folder / "index.html"
    page.write_text(page.read_text().replace(OWN_ORIGIN, f"{OWN_ORIGIN} http://127.0.0.1:*"))
    return serve(page_dir=str(folder)).url


@pytest.fixture
def pages(page_origin: str) -> list[str]:
    """The origins that the API allows."""
    return [page_origin]


@pytest.fixture
def api(pages: list[str]) -> Iterator[Api]:
    """The example on an origin of its own."""
    clock = FakeClock()
    config = uvicorn.Config(example.create_app(clock, pages), log_level="warning")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield Api(f"http://127.0.0.1:{listener.getsockname()[1]}", clock)
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser_library(context_of: ContextFactory, page_origin: str) -> Library:
    return Library(context_of(page_origin).new_page(), "/")


@pytest.fixture
def context(browser_library: Library) -> BrowserContext:
    return browser_library.page.context


@pytest.fixture
def library(browser_library: Library, watch: Watch, api: Api) -> Library:
    """The client that the example's docstring shows."""
    watch.admit(api.url)
    browser_library.reset()
    shown = re.search(r"``(AsyncClient.*?)``", example.__doc__ or "", re.DOTALL)
    assert shown is not None
    code = re.sub(r"http://[\w.:]+", api.url, shown[1])
    browser_library.run(
        f"client.close()\nfrom unexpired import AsyncClient, Dialect\nclient = {code}"
    )
    watch.sent.clear()
    return browser_library


def test_a_page_of_another_origin_outlives_its_tokens(
    library: Library, watch: Watch, api: Api
) -> None:
    """A plain 401 causes one refresh; tokens are sent to the API only."""
    library.run("await client.sign_in('ada', 'correct horse')")
    assert library.run(ASK) == {"username": "ada"}
    api.clock.advance(example.ACCESS_TTL + 1)
    assert library.run(ASK) == {"username": "ada"}
    assert watch.count(TOKEN) == 2
    library.run("await client.sign_out()")
    assert watch.count("POST /revoke") == 1
    assert {sent.origin for sent in watch.sent} == {api.url}
    watch.forgive(PLAIN_401)


def test_a_wrong_password_raises_bad_credentials_across_origins(
    library: Library, watch: Watch
) -> None:
    """CORS headers let the page read the response."""
    outcome = library.run("await outcome(client.sign_in('ada', 'not hers'))")
    assert outcome == "BadCredentials"
    watch.forgive(PLAIN_401)


@pytest.mark.parametrize("pages", [["https://elsewhere.example"]])
def test_an_api_that_does_not_allow_the_origin_is_unreachable(
    library: Library, watch: Watch
) -> None:
    """The page gets neither a response nor a token."""
    assert library.run("await outcome(client.sign_in('ada', 'correct horse'))") == "Unreachable"
    assert library.run("client.user") is None
    watch.forgive(PLAIN_401, *BLOCKED)
