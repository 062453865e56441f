"""The documentation's Python for pages, run in a page with the server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.docs.guides import GUIDES
from tests.docs.pages import API, DOCS, PROVIDER_PAGES, name, pages, snippets
from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory
from tests.e2e.watch import Watch
from tests.support.server_process import ServerProcess

USER, PASSWORD = "ada", "correct horse"
ENDED = (
    "Your session has expired. Please log in again."
    " It was ended on another device or by the service."
)
PAGES = [
    page
    for page in pages()
    if page not in {guide.path for guide in GUIDES}  # Those need their own application.
    and page not in PROVIDER_PAGES  # And those a provider.
    and any(one.is_for_browsers for one in snippets(page, "python"))
]

CLOSE_ALL = """
from unexpired import AsyncClient
[one.close() for one in list(globals().values()) if isinstance(one, AsyncClient)]
None
"""
END_SESSIONS = "(await client.post('/api/logout-all')).status_code"


@pytest.fixture(scope="module")
def reader_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with the user of the documentation."""
    backend = ServerProcess.with_users(tmp_path_factory.mktemp("server"))
    backend.run("user", "passwd", USER, stdin=PASSWORD)
    yield backend
    backend.stop()


@pytest.fixture
def backend(reader_backend: ServerProcess) -> ServerProcess:
    return reader_backend


@pytest.fixture(scope="module")
def browser_library(context_of: ContextFactory, reader_backend: ServerProcess) -> Library:
    """The library in a page, started once."""
    return Library(context_of(reader_backend.url).new_page())


@pytest.fixture
def context(browser_library: Library) -> BrowserContext:
    return browser_library.page.context


@pytest.fixture
def library(browser_library: Library, watch: Watch) -> Library:
    """The library, signed out; the clients of other tests are closed."""
    browser_library.run(CLOSE_ALL)
    browser_library.reset()
    watch.sent.clear()
    return browser_library


@pytest.fixture
def page(library: Library) -> Page:
    return library.page


def follow(source: Path, library: Library, url: str) -> None:
    """Follow a page of the documentation: insert its markup and run its Python."""
    markup = [one.text for one in snippets(source, "html") if not one.text.startswith("<meta")]
    library.page.evaluate("markup => { document.body.innerHTML = markup }", "".join(markup))
    for one in snippets(source, "python"):
        if one.is_for_browsers:
            library.run(f"{one.text.replace(API, url)}\nNone")


@pytest.mark.parametrize("source", PAGES, ids=map(name, PAGES))
def test_python_for_pages_runs_in_a_page(
    source: Path, library: Library, backend: ServerProcess
) -> None:
    """The snippets run unchanged, one after the other."""
    follow(source, library, backend.url)


def test_the_guide_for_existing_pages_leads_to_sign_in_and_back(
    library: Library, backend: ServerProcess, page: Page
) -> None:
    """A call without a session redirects to the form, which says why, signs in, and leads back."""
    page.evaluate("location.hash = '#/notes?from=guide'")
    follow(DOCS / "how-to" / "existing-page.md", library, backend.url)
    alert = page.get_by_role("alert")
    for message in ("", ENDED):
        library.run("await add_note('first')")
        expect(page).to_have_url(re.compile(r"#/login\?next="))
        expect(alert).to_have_text(message)
        page.get_by_label("Username").fill(USER)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{backend.url}/library.html#/notes?from=guide")
        assert library.run("await add_note('second')") == "Saved."
        assert library.run(END_SESSIONS) == 204
