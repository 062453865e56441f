"""The page in a browser that lets nothing be stored."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.blocked_storage import SENTENCE, block_storage
from tests.e2e.person import Person
from tests.e2e.watch import Watch

ACCESS_TTL = 4
WARNINGS = ("the browser's storage cannot be used", "Web Locks cannot be used")


@pytest.fixture
def settings() -> dict[str, float]:
    """A server whose access tokens expire within seconds."""
    return {"access_ttl": ACCESS_TTL, "leeway": 0}


def test_a_person_can_work_until_the_page_closes(person: Person, page: Page, watch: Watch) -> None:
    """Notes are sent, tokens refreshed; the sign-in form says that a reload ends the session."""
    block_storage(page)
    person.opens()
    expect(page.get_by_text(SENTENCE)).to_be_visible()
    person.signs_in().is_at_notes()
    page.wait_for_timeout(2 * ACCESS_TTL * 1000)
    person.adds("written two expiries later, without storage")
    assert watch.count("POST /api/refresh") >= 2
    person.opens()
    expect(person.heading("Sign in")).to_be_visible()
    watch.forgive(*WARNINGS)


def test_where_sessions_are_stored_nothing_is_said(person: Person, page: Page) -> None:
    """The sentence is only for those whom it concerns."""
    person.opens()
    expect(page.get_by_text(SENTENCE)).to_be_hidden()
