"""The built page and its API on one origin."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, BrowserType, Page

from tests.e2e.conftest import TIMEOUT_MS
from tests.e2e.person import Person
from tests.e2e.watch import Watch
from tests.support.paths import ROOT
from tests.support.proxy import HTTPProxy
from tests.support.server_process import ServerProcess
from unexpired_kit.site import build


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site") / "dist"
    build(ROOT, place, "")
    return place


@pytest.fixture
def settings(built: Path) -> dict[str, float | str]:
    """The API's server serves the built page instead of its own."""
    return {"page_dir": str(built)}


@pytest.fixture
def proxy(backend: ServerProcess) -> Iterator[HTTPProxy]:
    """Records the requests that the browser's cache does not serve."""
    proxy = HTTPProxy(backend.url)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def home(proxy: HTTPProxy) -> str:
    return proxy.url


@pytest.fixture
def context(
    browser_name: str,
    browser_type: BrowserType,
    browser_type_launch_args: dict[str, Any],
    home: str,
    tmp_path: Path,
) -> Iterator[BrowserContext]:
    """A browser with a profile on disk: a cache in memory has no room for Pyodide."""
    if browser_name == "firefox":
        pytest.skip("Playwright starts Firefox with a profile of its own only.")
    with browser_type.launch_persistent_context(
        tmp_path, base_url=home, **browser_type_launch_args
    ) as context:
        context.set_default_timeout(TIMEOUT_MS)
        yield context


def test_a_second_visit_requests_only_the_page(
    person: Person, page: Page, proxy: HTTPProxy, watch: Watch
) -> None:
    """Every asset has a content hash in its path, so the browser does not revalidate it."""
    person.opens().signs_in().is_at_notes()
    person.adds("written beside the API")
    assert any(received.path.startswith("/assets/") for received in proxy.received)
    proxy.clear()
    page.goto("about:blank")
    person.opens().is_at_notes()
    paths = {received.path for received in proxy.received}
    assert {path for path in paths if not path.startswith("/api/")} == {"/"}
    assert [answer.status for answer in watch.answers if answer.path == "/api/login"] == [200]
