"""Secret key: generated in the browser, checked by the server's rules, and never sent."""

import base64
import re
import secrets

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.person import Person
from tests.e2e.watch import Watch
from unexpired.secret_strength import weaknesses

SECRET_KEY = "/#/secret-key"
VARIABLE = "UNEXPIRED_SECRET="
LINE = re.compile(rf"^{VARIABLE}[\w-]+$")


class SecretKeyView:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.line = page.get_by_label("Environment variable")
        self.another = page.get_by_role("button", name="Generate another key")
        self.copy = page.get_by_role("button", name="Copy")
        self.given = page.get_by_label("Check an existing secret")
        self.assessment = page.get_by_role("status", name="Result")

    def key(self) -> str:
        expect(self.line).to_have_value(LINE)
        return self.line.input_value().removeprefix(VARIABLE)


@pytest.fixture
def view(person: Person) -> SecretKeyView:
    """The view, opened without a session."""
    person.opens(SECRET_KEY)
    expect(person.heading("Secret key")).to_be_visible()
    return SecretKeyView(person.page)


def test_each_key_is_new_and_has_the_chosen_length_and_encoding(view: SecretKeyView) -> None:
    """Each length is right in each encoding, and each key passes the server's rules."""
    seen = {view.key()}
    for bits in (256, 384, 512):
        view.page.get_by_label(f"{bits} bits").check()
        view.page.get_by_label("base64url").check()
        assert len(base64.urlsafe_b64decode(view.key() + "==")) == bits // 8
        seen.add(view.key())
        view.page.get_by_label("hex").check()
        assert len(bytes.fromhex(view.key())) == bits // 8
        seen.add(view.key())
        view.another.click()
        assert weaknesses(view.key()) == []
        seen.add(view.key())
    assert len(seen) == 9


def test_one_button_copies_the_line(view: SecretKeyView, browser_name: str) -> None:
    """It copies the line for the environment and confirms that."""
    if browser_name == "chromium":  # Headless Chromium needs the permission.
        view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.copy.click()
    expect(view.page.get_by_text("Copied.")).to_be_visible()
    view.given.press("ControlOrMeta+v")
    expect(view.given).to_have_value(VARIABLE + view.key())


def test_the_line_is_selected_if_copying_is_not_permitted(view: SecretKeyView) -> None:
    """The person can then copy it with the keyboard."""
    view.page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')) }"
    )
    view.copy.click()
    expect(view.page.get_by_text("Selected: copy it")).to_be_visible()
    assert view.page.evaluate("getSelection().toString()") == view.line.input_value()


@pytest.mark.parametrize(
    "secret", ["changeme", "correct horse battery staple and another horse", "0123456789abcdef" * 4]
)
def test_a_weak_secret_shows_the_servers_reasons(view: SecretKeyView, secret: str) -> None:
    """The view lists the reasons for which the server would not start, and no others."""
    view.given.fill(secret)
    expect(view.assessment.get_by_role("listitem")).to_have_text(weaknesses(secret))


def test_a_strong_secret_is_accepted_bare_or_as_a_line(view: SecretKeyView) -> None:
    """A key of this view and any other random key are strong."""
    for text in (VARIABLE + view.key(), secrets.token_hex(32)):
        view.given.fill(text)
        expect(view.assessment).to_contain_text("Strong enough")
    view.given.fill("")
    expect(view.assessment).to_be_empty()


def test_nothing_leaves_the_page(view: SecretKeyView, watch: Watch) -> None:
    """Generating, copying and checking keys sends and stores nothing."""
    watch.sent.clear()
    view.page.get_by_label("512 bits").check()
    view.another.click()
    view.copy.click()
    view.given.fill("changeme")
    expect(view.assessment).to_contain_text("Do not sign tokens")
    view.given.fill(view.key())
    expect(view.assessment).to_contain_text("Strong enough")
    assert watch.sent == []
    assert view.page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_the_next_person_does_not_see_the_last_key(view: SecretKeyView, person: Person) -> None:
    """Each time it is opened, the view has a new key and an empty field."""
    key = view.key()
    view.given.fill("changeme")
    person.page.goto("/#/login")
    person.is_at_sign_in()
    person.page.goto(SECRET_KEY)
    expect(view.given).to_have_value("")
    assert view.key() != key
