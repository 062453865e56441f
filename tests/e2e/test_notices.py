"""Before a session ends and after, and while the server is away: what a person hears."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.faults import lose
from tests.e2e.person import Person

REFRESH = "**/api/refresh"
SHORT: dict[str, float] = {"access_ttl": 4, "leeway": 0}


@pytest.fixture
def settings() -> dict[str, float]:
    """Tokens of a few seconds."""
    return SHORT


@pytest.fixture
def notice(page: Page) -> Locator:
    """The line under the header."""
    return page.locator("#notice")


def test_an_outage_is_announced_and_so_is_its_end(
    person: Person, page: Page, notice: Locator
) -> None:
    """A polite live region says "Reconnecting…" while it lasts, then that it is over."""
    person.opens().signs_in().is_at_notes()
    expect(notice).to_be_empty()
    expect(notice).to_have_attribute("role", "status")
    person.new_note.fill("half a thought")
    restore = lose(page, REFRESH)
    expect(notice).to_contain_text("Reconnecting…")
    expect(person.new_note).to_be_focused()
    expect(person.new_note).to_have_value("half a thought")
    restore()
    expect(notice).to_have_text("Connected again.")
    expect(notice).to_be_empty()


@pytest.mark.parametrize("settings", [SHORT | {"refresh": False}])
def test_a_session_that_cannot_be_renewed_is_not_cut_off_without_warning(
    person: Person, notice: Locator
) -> None:
    """It is said before the end, beside what is being written; afterwards one goes on writing."""
    person.opens().signs_in().is_at_notes()
    person.new_note.fill("half a thought")
    expect(notice).to_contain_text("Your session ends in 1 second and cannot be renewed.")
    expect(person.new_note).to_be_focused()
    person.is_at_sign_in()
    expect(person.alert).to_contain_text("Your session has expired. Please log in again.")
    expect(notice).to_be_empty()
    expect(person.username).to_be_focused()
    person.signs_in().is_at_notes()
    expect(person.new_note).to_have_value("half a thought")
