"""The banner below the header: an outage, and the end of a session that cannot be renewed."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import FastForward
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
def banner(page: Page) -> Locator:
    """The text below the header."""
    return page.locator("#session-banner").get_by_role("status")


@pytest.fixture
def button(page: Page) -> Locator:
    """The button for what the person can do about it."""
    return page.locator("#session-banner").get_by_role("button")


def test_an_outage_and_its_end_are_announced(person: Person, page: Page, banner: Locator) -> None:
    """A polite live region shows "Reconnecting…" during the outage, then that it is over."""
    person.opens().signs_in().is_at_notes()
    expect(banner).to_be_empty()
    expect(banner).to_have_attribute("role", "status")
    person.new_note.fill("half a thought")
    restore = lose(page, REFRESH)
    expect(banner).to_contain_text("Reconnecting…")
    expect(person.new_note).to_be_focused()
    expect(person.new_note).to_have_value("half a thought")
    restore()
    expect(banner).to_have_text("Connected again.")
    expect(banner).to_be_empty()


def test_a_person_can_retry_without_waiting(
    person: Person, page: Page, banner: Locator, button: Locator
) -> None:
    """In an outage, "Try again now" refreshes at once and shows the result."""
    person.opens().signs_in().is_at_notes()
    restore = lose(page, REFRESH)
    expect(button).to_have_text("Try again now")
    button.press("Enter")
    expect(banner).to_contain_text("Still offline. You stay signed in")
    restore()
    button.press("Enter")
    expect(banner).to_have_text("Connected again.")
    expect(button).to_be_hidden()
    expect(person.heading("Notes")).to_be_focused()


def test_the_button_respects_retry_after(
    person: Person, page: Page, banner: Locator, button: Locator, watch: Watch
) -> None:
    """Until then the banner shows how long to wait, and no request is sent."""
    person.opens().signs_in().is_at_notes()
    page.route(REFRESH, lambda route: route.fulfill(status=503, headers={"Retry-After": "600"}))
    expect(banner).to_contain_text("Reconnecting…")
    sent = watch.count("POST /api/refresh")
    button.click()
    expect(banner).to_contain_text(re.compile(r"The server is busy. Retrying in \d+ seconds"))
    assert watch.count("POST /api/refresh") == sent


@pytest.mark.parametrize("settings", [WITHOUT_REFRESH])
def test_the_end_of_a_session_that_cannot_be_renewed_is_announced(
    person: Person, banner: Locator
) -> None:
    """The banner warns without moving the focus; after the next sign-in the text is still there."""
    person.opens().signs_in().is_at_notes()
    person.new_note.fill("half a thought")
    expect(banner).to_contain_text("Your session ends in 1 second and cannot be renewed.")
    expect(banner).to_have_attribute("aria-live", "polite")
    expect(person.new_note).to_be_focused()
    person.is_at_sign_in()
    expect(person.alert).to_contain_text("Your session has expired. Please log in again.")
    expect(banner).to_be_empty()
    expect(person.username).to_be_focused()
    person.signs_in().is_at_notes()
    expect(person.new_note).to_have_value("half a thought")


@pytest.mark.parametrize("settings", [MINUTES])
def test_a_person_can_sign_in_again_before_the_session_ends(
    person: Person, fast_forward: FastForward, banner: Locator, button: Locator
) -> None:
    """A silent countdown starts after nine of ten minutes; a new sign-in keeps view and text."""
    person.opens().signs_in().is_at_notes()
    person.new_note.fill("half a thought")
    fast_forward("08:55")
    expect(person.status).to_contain_text("Signed in")
    expect(banner).to_be_empty()
    fast_forward("00:06")
    expect(banner).to_have_text(ENDING)
    expect(person.new_note).to_be_focused()
    expect(banner).to_have_attribute("aria-live", "off")
    button.press("Enter")
    person.is_at_sign_in()
    expect(person.username).to_be_focused()
    expect(banner).to_have_text(ENDING)
    expect(button).to_be_hidden()
    person.signs_in().is_at_notes()
    expect(banner).to_be_empty()
    expect(person.new_note).to_have_value("half a thought")


@pytest.mark.parametrize("settings", [SHORT | {"access_ttl": 12}])
def test_a_refused_refresh_warns_before_the_session_ends(
    person: Person, page: Page, banner: Locator, button: Locator
) -> None:
    """The token is used until it expires; until then the banner offers to sign in again."""
    person.opens().signs_in().is_at_notes()
    refused = {"error": "Refused.", "code": "REFRESH_EXPIRED"}
    page.route(REFRESH, lambda route: route.fulfill(status=401, json=refused))
    expect(banner).to_contain_text("and cannot be renewed")
    expect(button).to_have_text("Sign in again")
    person.is_at_sign_in()
    expect(person.alert).to_contain_text("Your session has expired. Please log in again.")
