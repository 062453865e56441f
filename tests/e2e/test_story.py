"""The whole story with tokens of three seconds: nobody is interrupted and nothing is lost."""

import jwt
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.faults import lose
from tests.e2e.person import Person
from tests.e2e.watch import Watch
from tests.support.server_process import ServerProcess

EXPIRED = "Your session has expired. Please log in again."
REFRESH = "**/api/refresh"
ADDRESS = "/#/notes?from=story"


@pytest.fixture
def settings() -> dict[str, float]:
    """Tokens that expire after three seconds, without tolerance."""
    return {"access_ttl": 3, "leeway": 0}


def test_tokens_expire_and_the_person_never_notices(
    person: Person, page: Page, watch: Watch
) -> None:
    """Notes are added across several refreshes, without a refusal, a sign-in or a message."""
    person.opens().signs_in().is_at_notes()
    for number in range(4):
        with page.expect_response(REFRESH):
            person.adds(f"written while token {number} lived")
    assert watch.count("POST /api/login") == 1
    assert [answer for answer in watch.answers if answer.status in {401, 403}] == []
    expect(person.alert).to_be_hidden()
    expect(person.status).to_contain_text("Signed in")


def test_after_a_revocation_the_view_and_the_draft_are_restored(
    person: Person, page: Page, backend: ServerProcess, watch: Watch
) -> None:
    """The session is revoked while a note is written: after the sign-in, writing continues."""
    person.opens(ADDRESS).signs_in().is_at_notes()
    person.new_note.fill("Half a thou")
    backend.run("session", "revoke", session_of(page))
    person.is_at_sign_in()
    expect(person.alert).to_contain_text(EXPIRED)
    expect(person.status).to_contain_text("Session expired")
    person.signs_in().is_at_notes()
    expect(page).to_have_url(ADDRESS)
    expect(person.new_note).to_have_value("Half a thou")
    person.new_note.press_sequentially("ght")
    person.add_button.click()
    expect(person.note("Half a thought")).to_be_visible()
    expect(person.new_note).to_have_value("")
    assert watch.count("POST /api/login") == 2


def test_an_outage_is_shown_and_ends_without_a_sign_in(person: Person, page: Page) -> None:
    """While no refresh succeeds, the person stays signed in; the page recovers by itself."""
    person.opens().signs_in().is_at_notes()
    restore = lose(page, REFRESH)
    expect(person.status).to_contain_text("Reconnecting")
    expect(person.status).to_contain_text("next attempt in")
    expect(person.heading("Notes")).to_be_visible()
    restore()
    expect(person.status).to_contain_text("Signed in")
    person.adds("written after the outage")


def session_of(page: Page) -> str:
    """Return the server's id of this page's session."""
    token = page.evaluate("JSON.parse(localStorage.getItem('unexpired')).accessToken")
    sid: str = jwt.decode(token, options={"verify_signature": False})["sid"]
    return sid
