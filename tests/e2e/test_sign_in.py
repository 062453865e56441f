"""Signing in and out, and returning to where the person was."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.faults import hold, lose
from tests.e2e.person import Person
from tests.e2e.test_keys import DELETE
from tests.e2e.test_language import GERMAN, prefer
from tests.e2e.watch import Watch

LOGIN = "**/api/login"
KEY_LOST = "Your session has ended: this browser no longer has its key. Please sign in again."
EXPIRED = "Your session has expired. Please log in again."


def test_a_person_signs_in(person: Person, page: Page) -> None:
    """The URL, the title, the focus, the name and the session status change with the sign-in."""
    person.opens()
    person.is_at_sign_in()
    expect(page).to_have_title("Sign in · Unexpired")
    expect(person.username).to_be_focused()
    expect(person.sign_out_button).to_be_hidden()
    expect(person.status).to_contain_text("Signed out")
    person.signs_in().is_at_notes()
    expect(page).to_have_title("Notes · Unexpired")
    expect(page).to_have_url("/#/notes")
    expect(person.heading("Notes")).to_be_focused()
    expect(page.get_by_text("ada", exact=True)).to_be_visible()
    expect(person.status).to_contain_text("Signed in")
    expect(person.status).to_contain_text("renews in")


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("settings", [{"access_ttl": 2, "leeway": 0}], ids=["short tokens"])
def test_a_session_that_has_lost_its_key_ends_with_its_own_sentence(
    page: Page, watch: Watch, language: str
) -> None:
    """The server is not asked to sign anybody out: a thief's browser has no key either."""
    prefer(page, [language])
    person = Person(page, GERMAN if language == "de" else None)
    person.opens().signs_in().is_at_notes()
    page.goto("/healthz")
    page.evaluate(DELETE)
    page.goto("/")
    person.is_at_sign_in()
    expect(person.alert).to_have_text(person.reads(KEY_LOST))
    assert watch.count("POST /api/logout") == 0


def test_a_wrong_password_can_be_corrected(person: Person) -> None:
    """An error is shown, the username stays, and the password is selected."""
    person.opens().signs_in("ada", "no such password")
    expect(person.alert).to_contain_text("not right")
    expect(person.username).to_have_value("ada")
    expect(person.password).to_be_focused()
    person.page.keyboard.type("correct horse battery")
    person.page.keyboard.press("Enter")
    person.is_at_notes()


def test_too_many_attempts_show_how_long_to_wait(person: Person, page: Page) -> None:
    """The message has the seconds of ``Retry-After``."""
    slow_down = {"error": "Slow down.", "code": "RATE_LIMITED"}
    page.route(
        LOGIN, lambda route: route.fulfill(status=429, json=slow_down, headers={"Retry-After": "7"})
    )
    person.opens().signs_in()
    expect(person.alert).to_contain_text("wait 7 seconds")


def test_an_unreachable_server_keeps_the_input(person: Person, page: Page) -> None:
    """An error is shown, the fields keep their text, and a second attempt works."""
    restore = lose(page, LOGIN)
    person.opens().signs_in()
    expect(person.alert).to_contain_text("cannot be reached")
    expect(person.username).to_have_value("ada")
    restore()
    person.sign_in_button.click()
    person.is_at_notes()


def test_a_pending_sign_in_is_shown_and_not_sent_twice(
    person: Person, page: Page, watch: Watch
) -> None:
    """The button is busy until the response; a second Enter sends nothing."""
    person.opens()
    release = hold(page, LOGIN)
    person.signs_in()
    expect(person.sign_in_button).to_have_attribute("aria-busy", "true")
    person.password.press("Enter")
    release()
    person.is_at_notes()
    assert watch.count("POST /api/login") == 1


def test_an_address_that_needs_a_session_is_shown_after_the_sign_in(
    person: Person, page: Page, watch: Watch
) -> None:
    """It redirects to the sign-in view, every time, and then returns."""
    person.opens("/#/notes?from=mail")
    person.is_at_sign_in()
    page.evaluate("location.hash = '#/notes?from=mail'")
    person.is_at_sign_in()
    expect(page).to_have_url("/#/login?next=%2F%23%2Fnotes%3Ffrom%3Dmail")
    person.signs_in().is_at_notes()
    expect(page).to_have_url("/#/notes?from=mail")
    assert watch.count("POST /api/refresh") == 0


@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_a_return_address_never_leads_to_another_origin(
    person: Person, page: Page, evil: str
) -> None:
    """A forged sign-in link leads to the notes."""
    person.opens(f"/#/login?next={evil}").signs_in().is_at_notes()
    expect(page).to_have_url("/#/notes")


def test_login_leads_to_the_sign_in_view(person: Person) -> None:
    """The server redirects /login and keeps its query."""
    person.opens("/login?reason=expired")
    person.is_at_sign_in()
    expect(person.alert).to_have_text(EXPIRED)


def test_only_known_reasons_are_shown(person: Person) -> None:
    """A URL cannot put text of its own on the sign-in page."""
    person.opens("/#/login?reason=Call+0800+EVIL")
    person.is_at_sign_in()
    expect(person.alert).to_be_hidden()


def test_signing_out_leaves_nothing(person: Person, page: Page, text: str) -> None:
    """Storage is empty, Back shows no notes, and the refresh token is revoked."""
    person.opens().signs_in().is_at_notes()
    person.adds(text)
    person.new_note.fill("unsent")
    token = page.evaluate("JSON.parse(localStorage.getItem('unexpired')).refreshToken")
    person.sign_out_button.click()
    with page.expect_response("**/api/logout"):
        person.page.get_by_role("button", name="Sign out all the same").click()
    person.is_at_sign_in()
    assert page.evaluate("localStorage.length") == 0
    page.go_back()
    expect(page.get_by_text(text)).to_be_hidden()
    expect(person.sign_out_button).to_be_hidden()
    response = page.request.post("/api/refresh", data={"refreshToken": token})
    assert response.json()["code"] == "SESSION_REVOKED"


def test_a_sign_out_in_another_tab_is_noticed(person: Person, page: Page) -> None:
    """The other tab shows the sign-in view, with the reason."""
    person.opens().signs_in().is_at_notes()
    other = Person(page.context.new_page()).opens()
    other.is_at_notes()
    person.sign_out_button.click()
    other.is_at_sign_in()
    expect(other.alert).to_contain_text("another tab")


def test_after_a_sign_out_in_another_tab_nothing_leads_back_to_a_search(
    person: Person, page: Page
) -> None:
    """The next person to sign in there does not see what was searched for."""
    person.opens().signs_in().is_at_notes()
    other = Person(page.context.new_page()).opens("/#/notes?q=private")
    expect(other.heading("Notes")).to_be_visible()
    person.sign_out_button.click()
    other.is_at_sign_in()
    expect(other.alert).to_contain_text("another tab")
    other.signs_in("grace").is_at_notes()
    expect(other.page).to_have_url(re.compile("#/notes$"))
