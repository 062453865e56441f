"""Create an account, change the password, replace a forgotten one."""

import re
from http import HTTPStatus
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.faults import hold, lose
from tests.e2e.person import Person
from tests.e2e.watch import Watch
from tests.support.server_process import ServerProcess

OLD, NEW = "an old password", "another password"
LINK = re.compile(r"^A new password for (\S+): \S*(/#/reset\?token=(\S+))$")
FEATURES = "**/api/features"

# Makes the access token one that is to be refreshed.
SOON = """() => {
  const record = JSON.parse(localStorage.unexpired);
  localStorage.unexpired = JSON.stringify({ ...record, expiresAt: Date.now() / 1000 + 5 });
}"""


@pytest.fixture
def settings() -> dict[str, float | str]:
    """The demo's server prints the links for forgotten passwords, and people may sign up."""
    return {"demo": "true", "access_ttl": 900, "signup_limit": "", "address_limit": ""}


@pytest.fixture
def name() -> str:
    """A username that no other test uses."""
    return f"user-{uuid4().hex[:12]}"


@pytest.fixture
def account(backend: ServerProcess, name: str) -> str:
    """The name of a user with the old password."""
    status, _ = backend.post("/api/signup", {"username": name, "password": OLD})
    assert status == 201
    return name


def link_of(backend: ServerProcess) -> tuple[str, str]:
    """Return the address of the next link that the server prints, and its token."""
    assert backend.child.stdout is not None
    found = LINK.match(backend.child.stdout.readline().strip())
    assert found
    return found[2], found[3]


def button(page: Page, label: str) -> Locator:
    return page.get_by_role("button", name=label, exact=True)


def field(page: Page, label: str) -> Locator:
    return page.get_by_label(label, exact=True)


# -- Create an account -------------------------------------------------------------------------


def test_a_person_creates_an_account_and_is_back_where_they_were(
    person: Person, page: Page, name: str
) -> None:
    """The link on the sign-in page leads there; nothing needs the pointer after it."""
    person.opens("/#/notes?from=mail")
    page.get_by_role("link", name="Create account").click()
    expect(person.heading("Create account")).to_be_visible()
    expect(page).to_have_title("Create account · Unexpired")
    expect(person.username).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(NEW)
    page.keyboard.press("Enter")
    person.is_at_notes()
    expect(page).to_have_url("/#/notes?from=mail")
    expect(page.get_by_text(name, exact=True)).to_be_visible()
    person.sign_out_button.click()
    person.signs_in(name, NEW).is_at_notes()


def test_a_new_account_is_bound_to_this_browser(person: Person, page: Page, name: str) -> None:
    """As after a sign-in."""
    person.opens("/#/sign-up")
    field(page, "Username").fill(name)
    field(page, "Password").fill(NEW)
    button(page, "Create account").click()
    person.is_at_notes()
    page.goto("/#/devices")
    expect(page.locator(".binding")).to_have_text("Bound to its browser")


def test_what_is_wrong_with_a_new_account_is_shown_next_to_the_field(
    person: Person, page: Page, name: str
) -> None:
    """The field is invalid, has the focus and the sentence; the other field keeps its text."""
    person.opens("/#/sign-up")
    field(page, "Username").fill("ada")
    field(page, "Password").fill("short")
    button(page, "Create account").click()
    password = field(page, "Password")
    expect(password).to_have_attribute("aria-invalid", "true")
    expect(password).to_have_accessible_description(re.compile("8 to 1024 characters"))
    expect(password).to_be_focused()
    page.keyboard.type(NEW)
    expect(password).not_to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Enter")
    username = field(page, "Username")
    expect(username).to_have_accessible_description("This username is taken.")
    expect(username).to_be_focused()
    expect(password).to_have_value(NEW)
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    person.is_at_notes()


def test_password_managers_know_what_each_field_is(person: Person, page: Page) -> None:
    """A new password is offered to be generated, and the present one to be filled in."""
    person.opens("/#/sign-up")
    expect(field(page, "Username")).to_have_attribute("autocomplete", "username")
    expect(field(page, "Password")).to_have_attribute("autocomplete", "new-password")
    page.goto("/#/login")
    person.signs_in().is_at_notes()
    page.goto("/#/password")
    expect(field(page, "Current password")).to_have_attribute("autocomplete", "current-password")
    expect(field(page, "New password")).to_have_attribute("autocomplete", "new-password")
    expect(page.locator("[name=username]")).to_have_value("ada")


def test_a_password_can_be_shown(person: Person, page: Page) -> None:
    """Until the view is left."""
    person.opens("/#/sign-up")
    field(page, "Password").fill(NEW)
    field(page, "Show password").check()
    expect(field(page, "Password")).to_have_attribute("type", "text")
    page.goto("/#/forgot")
    page.goto("/#/sign-up")
    expect(field(page, "Password")).to_have_attribute("type", "password")
    expect(field(page, "Password")).to_have_value("")


def test_an_unreachable_server_keeps_what_is_typed_and_a_wait_is_shown(
    person: Person, page: Page, name: str, watch: Watch
) -> None:
    """The button is busy until the response; a second Enter sends nothing."""
    person.opens("/#/sign-up")
    restore = lose(page, "**/api/signup")
    field(page, "Username").fill(name)
    field(page, "Password").fill(NEW)
    create = button(page, "Create account")
    create.click()
    expect(person.alert).to_contain_text("What you typed is kept.")
    expect(field(page, "Password")).to_have_value(NEW)
    restore()
    sent = watch.count("POST /api/signup")
    release = hold(page, "**/api/signup")
    create.click()
    expect(create).to_have_attribute("aria-busy", "true")
    field(page, "Password").press("Enter")
    release()
    person.is_at_notes()
    assert watch.count("POST /api/signup") == sent + 1


# -- Change the password -----------------------------------------------------------------------


def test_a_changed_password_signs_out_the_other_browser_and_not_this_one(
    person: Person, page: Page, browser: Browser, backend: ServerProcess, account: str
) -> None:
    """The other one ends with its next request; this one goes on, also after a refresh."""
    elsewhere = browser.new_context(base_url=backend.url)
    other = Person(elsewhere.new_page()).opens().signs_in(account, OLD)
    other.is_at_notes()
    person.opens("/#/devices").signs_in(account, OLD)
    page.get_by_role("link", name="Change password").click()
    expect(person.heading("Change password")).to_be_visible()
    field(page, "Current password").fill(OLD)
    field(page, "New password").fill(NEW)
    button(page, "Change password").click()
    expect(page.locator(".result")).to_contain_text("All other devices are signed out.")
    expect(field(page, "New password")).to_have_value("")
    other.page.goto("/#/devices")
    other.is_at_sign_in()
    expect(other.alert).to_contain_text("ended on another device")
    other.signs_in(account, NEW)
    expect(other.heading("Devices")).to_be_visible()
    elsewhere.close()
    page.evaluate(SOON)
    with page.expect_response("**/api/refresh") as refreshed:
        page.reload()
    assert refreshed.value.status == HTTPStatus.OK
    page.goto("/#/notes")
    person.is_at_notes()


def test_a_wrong_current_password_keeps_the_session_and_what_is_typed(
    person: Person, page: Page, account: str
) -> None:
    """A 401 about a password is not the end of the session."""
    person.opens("/#/password").signs_in(account, OLD)
    field(page, "Current password").fill("wrong")
    field(page, "New password").fill(NEW)
    button(page, "Change password").click()
    current = field(page, "Current password")
    expect(current).to_have_accessible_description("The current password is not right.")
    expect(current).to_be_focused()
    expect(field(page, "New password")).to_have_value(NEW)
    expect(person.status).to_contain_text("Signed in")
    page.keyboard.type(OLD)
    page.keyboard.press("Enter")
    expect(page.locator(".result")).to_contain_text("Your password is changed.")


# -- Replace a forgotten password --------------------------------------------------------------


def test_a_forgotten_password_is_replaced_by_a_link(
    person: Person, page: Page, backend: ServerProcess, account: str
) -> None:
    """The link's token is nowhere in the address; afterwards the new password signs in."""
    person.opens()
    page.get_by_role("link", name="Forgotten password?").click()
    expect(person.heading("Forgotten password")).to_be_visible()
    field(page, "Username").fill(account)
    button(page, "Send a link").click()
    expect(page.locator(".result")).to_contain_text("a link is on its way")
    address, token = link_of(backend)
    other = Person(page.context.new_page())
    other.page.goto(address, wait_until="commit")
    expect(other.page).to_have_url("/#/reset")
    other.waits_until_ready()
    assert token not in other.page.evaluate("location.href + document.referrer")
    field(other.page, "New password").fill("short")
    button(other.page, "Save the new password").click()
    expect(field(other.page, "New password")).to_have_accessible_description(
        re.compile("8 to 1024 characters")
    )
    other.page.reload()
    other.waits_until_ready()
    field(other.page, "New password").fill(NEW)
    button(other.page, "Save the new password").click()
    other.is_at_sign_in()
    expect(other.alert).to_contain_text("Please sign in with the new one.")
    other.signs_in(account, NEW).is_at_notes()


def test_a_link_that_was_used_says_so_and_leads_to_a_new_one(
    person: Person, page: Page, backend: ServerProcess, account: str
) -> None:
    """Also in a page that is open already, and signed in."""
    backend.post("/api/password/forgot", {"username": account})
    address, token = link_of(backend)
    assert backend.post("/api/password/reset", {"token": token, "newPassword": OLD})[0] == 204
    person.opens().signs_in().is_at_notes()
    page.goto(address)
    expect(page).to_have_url("/#/reset")
    field(page, "New password").fill(NEW)
    button(page, "Save the new password").click()
    expect(person.alert).to_contain_text("has been used or is too old")
    page.get_by_role("link", name="Ask for a new link").click()
    expect(person.heading("Forgotten password")).to_be_visible()


def test_somebody_who_is_signed_in_replaces_their_password_and_signs_in_again(
    person: Person, page: Page, backend: ServerProcess, account: str
) -> None:
    """All sessions have ended, also the one of this page."""
    person.opens().signs_in(account, OLD).is_at_notes()
    backend.post("/api/password/forgot", {"username": account})
    address, _ = link_of(backend)
    page.goto(address)
    field(page, "New password").fill(NEW)
    button(page, "Save the new password").click()
    person.is_at_sign_in()
    expect(person.alert).to_contain_text("Please sign in with the new one.")


def test_the_page_for_a_new_password_without_a_link_says_what_is_missing(
    person: Person, page: Page
) -> None:
    """As after a link that was copied without its end."""
    person.opens("/#/reset")
    expect(person.alert).to_contain_text("open the link from the message again")
    page.get_by_role("link", name="Ask for a new link").click()
    expect(person.heading("Forgotten password")).to_be_visible()


# -- What the server offers --------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 404])
def test_only_what_the_server_offers_is_shown(person: Person, page: Page, status: int) -> None:
    """A server that says no, and one that does not know the call."""
    page.route(FEATURES, lambda route: route.fulfill(status=status, json={}))
    with page.expect_response(FEATURES):
        person.opens("/#/devices")
    person.signs_in()
    expect(page.get_by_text("this device")).to_be_visible()
    expect(page.get_by_role("link", name="Change password")).to_be_hidden()
    button(page, "Sign out").click()
    person.is_at_sign_in()
    expect(page.get_by_role("link", name="Create account")).to_be_hidden()
    expect(page.get_by_role("link", name="Forgotten password?")).to_be_hidden()


def test_a_call_that_the_server_does_not_have_is_named_in_a_sentence(
    person: Person, page: Page, name: str
) -> None:
    """As with a server of another kind, and an address that was kept."""
    missing = {"error": "There is nothing here.", "code": "NOT_FOUND"}
    page.route("**/api/signup", lambda route: route.fulfill(status=404, json=missing))
    person.opens("/#/sign-up")
    field(page, "Username").fill(name)
    field(page, "Password").fill(NEW)
    button(page, "Create account").click()
    expect(person.alert).to_have_text("This server does not offer this.")
    expect(field(page, "Password")).to_have_value(NEW)
