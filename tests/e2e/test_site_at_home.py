"""The built page beside its API: one server, one origin."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, BrowserType, Page

from build_site import build
from tests.e2e.conftest import PATIENCE_MS
from tests.e2e.person import Person
from tests.e2e.watch import Watch
from tests.support.paths import ROOT
from tests.support.proxy import HTTPProxy
from tests.support.server_process import ServerProcess


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site") / "dist"
    build(ROOT, place, "")
    return place


@pytest.fixture
def settings(built: Path) -> dict[str, float | str]:
    """The server of the API serves the built page in place of its own."""
    return {"page_dir": str(built)}


@pytest.fixture
def proxy(backend: ServerProcess) -> Iterator[HTTPProxy]:
    """What the browser's cache cannot answer passes here."""
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
    """A browser with a profile on disk: what keeps all in memory has no room for a runtime."""
    if browser_name == "firefox":
        pytest.skip("Firefox's driver starts no browser on a profile of ours.")
    with browser_type.launch_persistent_context(
        tmp_path, base_url=home, **browser_type_launch_args
    ) as context:
        context.set_default_timeout(PATIENCE_MS)
        yield context


def test_a_second_visit_fetches_the_page_alone(
    person: Person, page: Page, proxy: HTTPProxy, watch: Watch
) -> None:
    """What was built never changes under its name: the browser does not even ask about it."""
    person.opens().signs_in().is_at_notes()
    person.adds("written beside the API")
    assert any(received.path.startswith("/assets/") for received in proxy.received)
    proxy.clear()
    page.goto("about:blank")
    person.opens().is_at_notes()
    paths = {received.path for received in proxy.received}
    assert {path for path in paths if not path.startswith("/api/")} == {"/"}
    assert watch.count("POST /api/login") == 1
