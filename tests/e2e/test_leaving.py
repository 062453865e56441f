"""The Back button after a sign-out."""

import re
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.e2e.person import Person
from tests.e2e.watch import Watch


def test_back_after_a_sign_out_shows_no_notes(person: Person, page: Page, watch: Watch) -> None:
    """Back leads to the sign-in form: no notes, no tokens, no authenticated request."""
    person.opens().signs_in()
    person.is_at_notes()
    text = f"for my eyes only {uuid4()}"
    person.adds(text)
    person.opens("/?again").is_at_notes()
    person.sign_out_button.click()
    person.is_at_sign_in()
    watch.sent.clear()
    page.go_back(wait_until="commit")
    expect(page).to_have_url(re.compile("next="))
    person.waits_until_ready().is_at_sign_in()
    expect(person.note(text)).to_have_count(0)
    assert page.evaluate("localStorage.getItem('unexpired')") is None
    assert not [sent for sent in watch.sent if "authorization" in sent.headers]
