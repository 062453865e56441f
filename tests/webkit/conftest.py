"""WebKitGTK, and a server for its pages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from selenium.common.exceptions import InvalidSessionIdException
from selenium.webdriver import WebKitGTK

from browsers import choose_webkit
from tests.support import webkitgtk
from tests.support.built_page import built_page
from tests.support.proxy import HTTPProxy
from tests.support.server_process import ServerProcess
from tests.webkit.window import Window

FOLDER = Path(__file__).parent
ACCESS_TTL = 4
"""Long enough that a page which has just started still has a valid token."""

SCRIPT_SECONDS = 300
"""Axe looks at hundreds of marks, and a long list is scrolled to its end."""

Launch = Callable[..., WebKitGTK]

# No page may end its browser: where a process of WebKitGTK dies, the fault is not what a test is
# of, and each later command has only this error. Any other failure counts at once.
AGAIN = pytest.mark.flaky(reruns=1, only_rerun=[InvalidSessionIdException.__name__])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a test once more, with a new browser, if its browser has died; the summary tells."""
    for item in items:
        if item.path.parent == FOLDER:
            item.add_marker(AGAIN)


class Browser:
    """A browser for many tests, of which only the first has to compile Python.

    It is a context manager: a browser that stays takes a gigabyte.

    Args:
        start: Starts one: at first, and after one has died.
    """

    def __init__(self, start: Callable[[], WebKitGTK]) -> None:
        self._start = start
        self._driver = start()

    def __enter__(self) -> Self:
        """Return this browser."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._driver.quit()

    @property
    def driver(self) -> WebKitGTK:
        """The browser, which is alive."""
        if not webkitgtk.lives(self._driver):
            self._driver.quit()
            self._driver = self._start()
        return self._driver


@pytest.fixture(scope="session")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the desktop's settings, and of what is downloaded."""
    folder = tmp_path_factory.mktemp("desktop")
    webkitgtk.configure(folder)
    return folder


@pytest.fixture(scope="session")
def launch(desktop: Path) -> Iterator[Launch]:
    """Start WebKitGTK with further switches of its MiniBrowser; each has an empty profile."""
    if choose_webkit() is None:
        pytest.skip("There is no WebKitGTK here: `make webkit` as root installs it on Debian.")

    def start(*switches: str, settings: Path = desktop, waits: bool = True) -> WebKitGTK:
        driver = webkitgtk.start(shown_on, settings, *switches, waits=waits)
        driver.set_script_timeout(SCRIPT_SECONDS)
        return driver

    with webkitgtk.display() as shown_on:
        yield start


@contextmanager
def serving(folder: Path, **settings: float | str) -> Iterator[ServerProcess]:
    """Serve the built page."""
    server = ServerProcess.with_users(folder, page_dir=str(built_page()), **settings)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose access tokens expire within seconds."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder, access_ttl=ACCESS_TTL, leeway=0) as server:
        yield server


@pytest.fixture
def host(backend: ServerProcess) -> Iterator[HTTPProxy]:
    """A line to the server that fails as asked, at an address that no browser has seen."""
    proxy = HTTPProxy(backend.url)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def shared(launch: Launch) -> Iterator[Browser]:
    """One browser for all tests."""
    with Browser(launch) as browser:
        yield browser


@pytest.fixture
def webkit(shared: Browser) -> WebKitGTK:
    """The browser for all tests."""
    return shared.driver


@pytest.fixture
def window(webkit: WebKitGTK, backend: ServerProcess) -> Iterator[Window]:
    """A window with empty storage, which shows no page yet."""
    first = Window(webkit, backend.url).forgets()
    yield first
    first.close_others()
