"""The server, a browser, and a record of the requests between them."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, expect

from browsers import choose
from tests.e2e.person import Person
from tests.e2e.saved_files import SavedFiles
from tests.e2e.watch import Watch
from tests.support.built_page import built_page
from tests.support.server_process import ServerProcess

HERE = Path(__file__).parent
TIMEOUT_MS = 60_000
"""A bound for a busy machine; no test waits that long otherwise."""

# Optimising Python's WebAssembly takes two fifths of the time, and would pay off after most tests.
UNOPTIMISED = {"chromium": ["--js-flags=--liftoff-only"], "firefox": []}

expect.set_options(timeout=TIMEOUT_MS)

ServerFactory = Callable[..., ServerProcess]
ContextFactory = Callable[[str], BrowserContext]
FastForward = Callable[[str], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests last: while Playwright's event loop runs, no test can start another."""
    items.sort(key=lambda item: HERE in item.path.parents)


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the browser saves files in."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def browser_type_launch_args(
    browser_type_launch_args: dict[str, Any],
    browser_type: BrowserType,
    browser_name: str,
    downloads: Path,
) -> dict[str, Any]:
    """Start the browser that `make browser` found."""
    choice = choose(browser_name, browser_type.executable_path)
    if choice is None and browser_name == "firefox":
        pytest.skip("There is no Firefox here: these tests run in Chromium only.")
    assert choice, f"There is no {browser_name} here: `make browser` finds or installs one."
    args = [*choice.launch["args"], *UNOPTIMISED[browser_name]]
    paths = {"downloads_path": downloads}
    return {**browser_type_launch_args, **choice.launch, **paths, "args": args}


@pytest.fixture(scope="session")
def base_url() -> None:
    """Replaces the plugin's fixture, which warns: each context has its own server's address."""


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerFactory]:
    """Start a server with these settings, or return the one that has them already.

    It serves the page as it is built, unless the settings name another folder.
    """
    running: dict[tuple[tuple[str, float | str], ...], ServerProcess] = {}

    def factory(**settings: float | str) -> ServerProcess:
        settings.setdefault("page_dir", str(built_page()))
        key = tuple(sorted(settings.items()))
        if key not in running:
            folder = tmp_path_factory.mktemp("server")
            running[key] = ServerProcess.with_users(folder, **settings)
        return running[key]

    yield factory
    for backend in running.values():
        backend.stop()


@pytest.fixture
def settings() -> dict[str, float]:
    """The server's settings; a test or a module that needs others overrides this."""
    return {}


@pytest.fixture
def backend(serve: ServerFactory, settings: dict[str, float]) -> ServerProcess:
    """The server that the page calls."""
    return serve(**settings)


@pytest.fixture
def home(backend: ServerProcess) -> str:
    """The address that the page is loaded from: the server's, unless a module overrides it."""
    return backend.url


@pytest.fixture(scope="session")
def new_context(browser: Browser) -> ContextFactory:
    """Open a browser context for a server."""

    def factory(url: str) -> BrowserContext:
        context = browser.new_context(base_url=url)
        context.set_default_timeout(TIMEOUT_MS)
        return context

    return factory


@pytest.fixture(scope="session")
def context_of(new_context: ContextFactory) -> ContextFactory:
    """One browser context for each server: a warm cache halves the start of Python."""
    return cache(new_context)


@pytest.fixture
def context(
    context_of: ContextFactory,
    new_context: ContextFactory,
    home: str,
    request: pytest.FixtureRequest,
) -> Iterator[BrowserContext]:
    """A browser context with empty storage and the page's files in its cache."""
    is_own = "fast_forward" in request.fixturenames  # A clock stays that of all later pages.
    context = (new_context if is_own else context_of)(home)
    page = context.new_page()
    page.goto("/healthz")
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.close()
    yield context
    for page in context.pages:
        page.close()
    if is_own:
        context.close()


@pytest.fixture
def called(backend: ServerProcess) -> str:
    """The address that the page may call too: the server's, unless a module overrides it."""
    return backend.url


@pytest.fixture
def watch(context: BrowserContext, home: str, called: str) -> Iterator[Watch]:
    """Records the requests of the browser context; fails if one of its pages logged an error."""
    with Watch(context, home) as watch:
        watch.admit(called)
        yield watch
    watch.verify()


@pytest.fixture
def page(watch: Watch) -> Page:
    """A new tab, which is watched."""
    return watch.context.new_page()


@pytest.fixture
def fast_forward(page: Page) -> FastForward:
    """Set the page's clock forward, by minutes and seconds such as "05:00"."""
    page.clock.install()
    return page.clock.fast_forward


@pytest.fixture
def saved_files(
    downloads: Path, tmp_path: Path, browser_type_launch_args: dict[str, Any]
) -> SavedFiles:
    """What the page lets the person save."""
    return SavedFiles(downloads, tmp_path, are_reported="channel" not in browser_type_launch_args)


@pytest.fixture
def person(page: Page) -> Person:
    """A person in front of the page, which is not open yet."""
    return Person(page)


@pytest.fixture
def writer(person: Person) -> Person:
    """A person who is signed in and sees their notes."""
    person.opens().signs_in().is_at_notes()
    return person


@pytest.fixture
def second(writer: Person) -> Person:
    """The same person in another tab."""
    person = Person(writer.page.context.new_page())
    person.opens().is_at_notes()
    return person


@pytest.fixture
def text() -> str:
    """A text that no other test uses."""
    return f"note {uuid4()}"
