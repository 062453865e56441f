"""Before a session ends and after, and while the server is away: what a person hears."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.faults import lose
from tests.e2e.person import Person
from tests.e2e.watch import Watch

REFRESH = "**/api/refresh"
SHORT: dict[str, float] = {"access_ttl": 4, "leeway": 0}
WITHOUT_REFRESH = SHORT | {"refresh": False}
MINUTES = {"access_ttl": 600, "leeway": 0, "refresh": False}
ENDING = re.compile(r"Your session ends in (\d+) seconds and cannot be renewed")


@pytest.fixture
def settings() -> dict[str, float]:
    """Tokens of a few seconds."""
    return SHORT


@pytest.fixture
def notice(page: Page) -> Locator:
    """The line under the header."""
    return page.locator("#notice").get_by_role("status")


@pytest.fixture
def button(page: Page) -> Locator:
    """What can be done about it."""
    return page.locator("#notice").get_by_role("button")


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


def test_a_person_may_try_to_stay_without_waiting(
    person: Person, page: Page, notice: Locator, button: Locator
) -> None:
    """In an outage "Stay signed in" tries at once and says what came of it, good or bad."""
    person.opens().signs_in().is_at_notes()
    restore = lose(page, REFRESH)
    expect(button).to_have_text("Stay signed in")
    button.press("Enter")
    expect(notice).to_contain_text("Still no answer. You stay signed in")
    restore()
    button.press("Enter")
    expect(notice).to_have_text("Connected again.")
    expect(button).to_be_hidden()
    expect(person.heading("Notes")).to_be_focused()


def test_the_button_does_not_overrule_the_servers_retry_after(
    person: Person, page: Page, notice: Locator, button: Locator, watch: Watch
) -> None:
    """Who was asked to wait is told so, and nothing is sent."""
    person.opens().signs_in().is_at_notes()
    page.route(REFRESH, lambda route: route.fulfill(status=503, headers={"Retry-After": "600"}))
    expect(notice).to_contain_text("Reconnecting…")
    sent = watch.count("POST /api/refresh")
    button.click()
    expect(notice).to_contain_text(re.compile(r"asks to be left alone for \d+ seconds"))
    assert watch.count("POST /api/refresh") == sent


@pytest.mark.parametrize("settings", [WITHOUT_REFRESH])
def test_a_session_that_cannot_be_renewed_is_not_cut_off_without_warning(
    person: Person, notice: Locator
) -> None:
    """It is said before the end, beside what is being written; afterwards one goes on writing."""
    person.opens().signs_in().is_at_notes()
    person.new_note.fill("half a thought")
    expect(notice).to_contain_text("Your session ends in 1 second and cannot be renewed.")
    expect(notice).to_have_attribute("aria-live", "polite")
    expect(person.new_note).to_be_focused()
    person.is_at_sign_in()
    expect(person.alert).to_contain_text("Your session has expired. Please log in again.")
    expect(notice).to_be_empty()
    expect(person.username).to_be_focused()
    person.signs_in().is_at_notes()
    expect(person.new_note).to_have_value("half a thought")


@pytest.mark.parametrize("settings", [MINUTES])
def test_a_minute_before_its_end_a_session_can_be_followed_by_another(
    person: Person, page: Page, notice: Locator, button: Locator
) -> None:
    """Sixty seconds ahead, counted down in silence; signing in again keeps place and text."""
    page.clock.install()
    person.opens().signs_in().is_at_notes()
    person.new_note.fill("half a thought")
    page.clock.fast_forward("08:55")
    expect(person.status).to_contain_text("active")
    expect(notice).to_be_empty()
    page.clock.fast_forward("00:06")
    expect(notice).to_have_text(ENDING)
    expect(person.new_note).to_be_focused()
    expect(notice).to_have_attribute("aria-live", "off")
    button.press("Enter")
    person.is_at_sign_in()
    expect(person.username).to_be_focused()
    expect(notice).to_have_text(ENDING)
    expect(button).to_be_hidden()
    person.signs_in().is_at_notes()
    expect(notice).to_be_empty()
    expect(person.new_note).to_have_value("half a thought")


@pytest.mark.parametrize("settings", [SHORT | {"access_ttl": 12}])
def test_a_refused_refresh_is_a_warning_first(
    person: Person, page: Page, notice: Locator, button: Locator
) -> None:
    """The token is used to its real end: until then it is said, with the way to sign in again."""
    person.opens().signs_in().is_at_notes()
    refused = {"error": "Refused.", "code": "REFRESH_EXPIRED"}
    page.route(REFRESH, lambda route: route.fulfill(status=401, json=refused))
    expect(notice).to_contain_text("and cannot be renewed")
    expect(button).to_have_text("Sign in again")
    person.is_at_sign_in()
    expect(person.alert).to_contain_text("Your session has expired. Please log in again.")
