"""Secret key: made in the browser, judged by the server's own rules, sent nowhere."""

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
        self.line = page.get_by_label("Environment line")
        self.another = page.get_by_role("button", name="Make another key")
        self.copy = page.get_by_role("button", name="Copy")
        self.given = page.get_by_label("Judge a secret that you have")
        self.judgement = page.get_by_role("status", name="Judgement")

    def key(self) -> str:
        expect(self.line).to_have_value(LINE)
        return self.line.input_value().removeprefix(VARIABLE)


@pytest.fixture
def view(person: Person) -> SecretKeyView:
    """The view, opened by somebody without a session."""
    person.opens(SECRET_KEY)
    expect(person.heading("Secret key")).to_be_visible()
    return SecretKeyView(person.page)


def test_a_key_is_made_as_asked_for_and_no_two_are_alike(view: SecretKeyView) -> None:
    """Each strength in each spelling has its bits, and passes the server's rules."""
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
    """What is copied is the line for the environment, and the button says so."""
    if browser_name == "chromium":  # Without a window, it lets no click copy unless it is told to.
        view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.copy.click()
    expect(view.page.get_by_text("Copied.")).to_be_visible()
    view.given.press("ControlOrMeta+v")
    expect(view.given).to_have_value(VARIABLE + view.key())


def test_where_copying_is_forbidden_the_line_is_selected(view: SecretKeyView) -> None:
    """A person can then copy it by hand."""
    view.page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')) }"
    )
    view.copy.click()
    expect(view.page.get_by_text("Selected: copy it")).to_be_visible()
    assert view.page.evaluate("getSelection().toString()") == view.line.input_value()


@pytest.mark.parametrize(
    "secret", ["changeme", "correct horse battery staple and another horse", "0123456789abcdef" * 4]
)
def test_a_weak_secret_is_refused_for_the_reasons_of_the_server(
    view: SecretKeyView, secret: str
) -> None:
    """Each reason that would stop the server stands there, and no other."""
    view.given.fill(secret)
    expect(view.judgement.get_by_role("listitem")).to_have_text(weaknesses(secret))


def test_a_strong_secret_is_accepted_bare_or_as_a_line(view: SecretKeyView) -> None:
    """What this view made, or any other random key, is fine."""
    for text in (VARIABLE + view.key(), secrets.token_hex(32)):
        view.given.fill(text)
        expect(view.judgement).to_contain_text("Nothing speaks against it")
    view.given.fill("")
    expect(view.judgement).to_be_empty()


def test_nothing_leaves_the_page(view: SecretKeyView, watch: Watch) -> None:
    """Making, copying and judging keys makes no request and stores nothing."""
    watch.sent.clear()
    view.page.get_by_label("512 bits").check()
    view.another.click()
    view.copy.click()
    view.given.fill("changeme")
    expect(view.judgement).to_contain_text("must not sign")
    view.given.fill(view.key())
    expect(view.judgement).to_contain_text("Nothing speaks against it")
    assert watch.sent == []
    assert view.page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_a_key_does_not_wait_for_the_next_person(view: SecretKeyView, person: Person) -> None:
    """Whoever comes back to the view finds another key, and nothing of what was judged."""
    key = view.key()
    view.given.fill("changeme")
    person.page.goto("/#/login")
    person.is_at_sign_in()
    person.page.goto(SECRET_KEY)
    expect(view.given).to_have_value("")
    assert view.key() != key
