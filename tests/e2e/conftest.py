"""A real server, a real browser, and a watch on what passes between them."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, expect

from browsers import choose
from tests.e2e.person import Person
from tests.e2e.watch import Watch
from tests.support.server_process import ServerProcess

HERE = Path(__file__).parent
PATIENCE_MS = 60_000
"""No test is meant to wait as long: a machine that does much else at once is only slow."""

# A compiler that optimises Python takes two fifths of the work, and pays after most tests are over.
UNOPTIMISED = {"chromium": ["--js-flags=--liftoff-only"], "firefox": []}

expect.set_options(timeout=PATIENCE_MS)

ServerFactory = Callable[..., ServerProcess]
ContextFactory = Callable[[str], BrowserContext]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests last: once Playwright's loop runs, no other test can start one of its own."""
    items.sort(key=lambda item: HERE in item.path.parents)


@pytest.fixture(scope="session")
def browser_type_launch_args(
    browser_type_launch_args: dict[str, Any], browser_type: BrowserType, browser_name: str
) -> dict[str, Any]:
    """Start the browser that the tool of `make browser` found."""
    choice = choose(browser_name, browser_type.executable_path)
    if choice is None and browser_name == "firefox":
        pytest.skip("There is no Firefox here: these tests ran in Chromium alone.")
    assert choice, f"There is no {browser_name} here: `make browser` finds or installs one."
    args = [*choice.launch["args"], *UNOPTIMISED[browser_name]]
    return {**browser_type_launch_args, **choice.launch, "args": args}


@pytest.fixture(scope="session")
def base_url() -> None:
    """No one address: each context is told its server's (and the plugin's own fixture warns)."""


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerFactory]:
    """Start a server with these settings, or give the one that has them already."""
    running: dict[tuple[tuple[str, float | str], ...], ServerProcess] = {}

    def factory(**settings: float | str) -> ServerProcess:
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
    """The address of what the page is loaded from: the server too, unless a module says else."""
    return backend.url


@pytest.fixture(scope="session")
def context_of(browser: Browser) -> ContextFactory:
    """The one browser context for a server: a warm cache halves the time that Python takes."""

    @cache
    def factory(url: str) -> BrowserContext:
        context = browser.new_context(base_url=url)
        context.set_default_timeout(PATIENCE_MS)
        return context

    return factory


@pytest.fixture
def context(context_of: ContextFactory, home: str) -> Iterator[BrowserContext]:
    """A browser that remembers nothing of earlier tests but the files of the page."""
    context = context_of(home)
    page = context.new_page()
    page.goto("/healthz")
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.close()
    yield context
    for page in context.pages:
        page.close()


@pytest.fixture
def watch(context: BrowserContext, home: str, backend: ServerProcess) -> Iterator[Watch]:
    """A watch on the test's browser context, which must end without a complaint."""
    with Watch(context, home) as watch:
        watch.admit(backend.url)
        yield watch
    watch.verify()


@pytest.fixture
def page(watch: Watch) -> Page:
    """A tab, and a watch on it."""
    return watch.context.new_page()


@pytest.fixture
def person(page: Page) -> Person:
    """Somebody in front of the page, which is not open yet."""
    return Person(page)


@pytest.fixture
def writer(person: Person) -> Person:
    """Somebody at their notes."""
    person.opens().signs_in().is_at_notes()
    return person


@pytest.fixture
def text() -> str:
    """A text that no other test uses."""
    return f"note {uuid4()}"
