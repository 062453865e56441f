"""Tabs that are copies of another, with a session for one tab only."""

import time

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.blocked_storage import block_local_storage
from tests.e2e.browser_library import Library
from tests.e2e.person import Person
from tests.e2e.watch import Watch

GRACE = 1
OPEN = """
client = open_client(storage="session")
await client.ready()
(client.user or {}).get("username")
"""
REFRESH = "await outcome(client.refresh())"
GET_ME = "await outcome(client.get('/api/me'))"


@pytest.fixture
def settings() -> dict[str, float]:
    """A server that finds a reused refresh token soon."""
    return {"refresh_grace": GRACE}


@pytest.fixture
def original(page: Page) -> Library:
    """A tab that is signed in for itself."""
    tab = Library(page)
    tab.run(OPEN)
    tab.sign_in()
    return tab


def copy_of(page: Page, context: BrowserContext) -> Page:
    """Open a tab that has a copy of this page's ``sessionStorage``, as "Duplicate tab" does."""
    with context.expect_page() as opened:
        page.evaluate("void window.open('about:blank')")
    return opened.value


def test_a_copy_is_signed_out_and_the_original_lives_on(
    original: Library, context: BrowserContext
) -> None:
    """The copy may sign in, too; both sessions then live."""
    copy = Library(copy_of(original.page, context))
    assert copy.run(OPEN) is None
    assert copy.run(REFRESH) == "NotSignedIn"
    time.sleep(GRACE + 0.5)
    for _ in range(2):
        assert original.run(REFRESH) is None
    copy.sign_in("grace")
    time.sleep(GRACE + 0.5)
    for _ in range(2):
        assert [tab.run(REFRESH) for tab in (copy, original)] == [None, None]
    assert [tab.run(GET_ME) for tab in (copy, original)] == [200, 200]
    assert Library(copy.page).run(OPEN) == "grace"
    assert Library(original.page).run(OPEN) == "ada"


def test_a_copy_of_which_the_original_is_gone_starts_signed_out(
    original: Library, context: BrowserContext
) -> None:
    """The original had removed its mark when it was left, and the copy had its own by then."""
    copy = Library(copy_of(original.page, context))
    assert copy.run(OPEN) is None
    original.page.close()
    assert Library(copy.page).run(OPEN) is None


def test_a_tab_that_crashed_keeps_its_session(original: Library) -> None:
    """The mark is still there, but nobody holds its lock."""
    original.page.goto("/healthz")
    original.page.evaluate("sessionStorage.setItem('unexpired:tab', 'crashed')")
    tab = Library(original.page)
    assert tab.run(OPEN) == "ada"
    assert tab.run(REFRESH) is None


def test_the_clients_of_one_page_are_no_copies(original: Library) -> None:
    """Each new client of a page continues the tab's session, as does a reload."""
    assert original.run(OPEN) == "ada"
    assert original.run(OPEN) == "ada"
    assert Library(original.page).run(OPEN) == "ada"


def test_a_copy_of_the_page_where_local_storage_is_blocked(
    page: Page, person: Person, context: BrowserContext, watch: Watch
) -> None:
    """The page then keeps the session in the tab; only the original goes on with it."""
    block_local_storage(page)
    person.opens().signs_in().is_at_notes()
    other = copy_of(page, context)
    block_local_storage(other)
    expect(Person(other).opens().heading("Sign in")).to_be_visible()
    person.adds("written in the original")
    watch.forgive("localStorage cannot be used")
