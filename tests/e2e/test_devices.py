"""Devices: lists the person's sessions and revokes them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.faults import lose
from tests.e2e.person import Person
from tests.e2e.watch import Watch
from tests.support.server_process import PASSWORDS, ServerProcess

DEVICES = "/#/devices"
NAMES = {"chromium": "Chrome", "firefox": "Firefox"}
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile Safari/604.1"
INSTANTS = ("createdAt", "refreshedAt", "expiresAt")
SignInElsewhere = Callable[[str], httpx.Client]


@pytest.fixture
def elsewhere(backend: ServerProcess) -> Iterator[SignInElsewhere]:
    """Return a function that signs grace in on another device and returns its client."""
    with ExitStack() as clients:

        def sign_in_with(user_agent: str) -> httpx.Client:
            return sign_in(clients.enter_context(client_of(backend, user_agent)))

        sign_in_with("tests").post("/api/logout-all").raise_for_status()
        yield sign_in_with


def client_of(backend: ServerProcess, user_agent: str) -> httpx.Client:
    return httpx.Client(base_url=backend.url, headers={"User-Agent": user_agent})


def sign_in(client: httpx.Client) -> httpx.Client:
    response = client.post("/api/login", json={"username": "grace", "password": PASSWORDS["grace"]})
    client.headers["Authorization"] = f"Bearer {response.json()['accessToken']}"
    return client


def is_signed_in(client: httpx.Client) -> bool:
    return client.get("/api/me").status_code == 200


@pytest.fixture
def devices(page: Page) -> "DevicesView":
    """The controls of the view."""
    return DevicesView(page)


class DevicesView:
    def __init__(self, page: Page) -> None:
        self.items = page.get_by_role("list", name="Devices").get_by_role("listitem")
        self.others = page.get_by_role("button", name="Revoke all others")
        self.everywhere = page.get_by_role("button", name="Sign out everywhere")
        self.dialog = page.get_by_role("dialog", name="Sign out everywhere?")


def test_each_device_is_listed_and_this_one_is_marked(
    person: Person, devices: DevicesView, elsewhere: SignInElsewhere, browser_name: str
) -> None:
    """Each session has a readable name; only the other one can be revoked."""
    elsewhere(PHONE)
    person.opens(DEVICES).signs_in("grace")
    expect(person.heading("Devices")).to_be_focused()
    expect(devices.items).to_have_count(2)
    here, phone = (
        devices.items.filter(has_text="this device"),
        devices.items.filter(has_text="iPhone"),
    )
    expect(here).to_contain_text(f"{NAMES[browser_name]} on Linux")
    expect(here.get_by_role("button")).to_have_count(0)
    expect(phone).to_contain_text("Safari on iPhone")
    expect(phone).not_to_contain_text("this device")
    expect(here).to_contain_text("on the server's own machine")
    expect(here.locator(".binding")).to_have_text("Bound to its browser")
    expect(phone.locator(".binding")).to_have_text("Not bound to its browser")


def test_each_device_shows_the_address_of_its_last_use(
    person: Person, devices: DevicesView, page: Page
) -> None:
    """The address is described; markup in place of an address is not rendered."""
    addresses = ["203.0.113.7", "192.168.1.20", "<img src=x>", None]
    device = {"device": PHONE, "current": False, **dict.fromkeys(INSTANTS, "2027-01-15T08:00:00Z")}
    sessions = [{**device, "id": str(i), "address": at} for i, at in enumerate(addresses)]
    page.route("**/api/sessions", lambda route: route.fulfill(json={"sessions": sessions}))
    person.opens(DEVICES).signs_in("grace")
    expect(devices.items).to_contain_text(
        [
            "from 203.0.113.7 ·",
            "from the local network (192.168.1.20)",
            "from an unknown address",
            "from an unknown address",
        ]
    )
    expect(page.locator("#view img")).to_have_count(0)


def test_markup_in_a_user_agent_is_not_rendered(
    person: Person, devices: DevicesView, elsewhere: SignInElsewhere, page: Page
) -> None:
    """A ``User-Agent`` that is not recognised is shown as an unknown device."""
    elsewhere("<img src=x onerror=\"document.title='pwned'\">")
    person.opens(DEVICES).signs_in("grace")
    expect(devices.items.filter(has_text="Unknown device")).to_have_count(1)
    expect(page.locator("#view img")).to_have_count(0)


def test_a_revoked_device_is_signed_out_at_the_server(
    person: Person, devices: DevicesView, elsewhere: SignInElsewhere
) -> None:
    """It leaves the list, a message confirms that, the focus is kept, and its token is refused."""
    phone, curl = elsewhere(PHONE), elsewhere("curl/8.14.1")
    person.opens(DEVICES).signs_in("grace")
    person.page.get_by_role("button", name="Revoke Safari on iPhone").click()
    expect(devices.items).to_have_count(2)
    expect(person.page.get_by_text("Safari on iPhone is signed out.")).to_be_visible()
    expect(person.heading("Devices")).to_be_focused()
    assert not is_signed_in(phone)
    assert is_signed_in(curl)


def test_all_others_can_be_revoked_at_once(
    person: Person, devices: DevicesView, elsewhere: SignInElsewhere, watch: Watch
) -> None:
    """Only this device remains, and it stays signed in."""
    clients = [elsewhere(PHONE), elsewhere("curl/8.14.1")]
    person.opens(DEVICES).signs_in("grace")
    expect(devices.items).to_have_count(3)
    devices.others.click()
    expect(devices.items).to_have_count(1)
    expect(devices.others).to_be_disabled()
    assert [is_signed_in(client) for client in clients] == [False, False]
    expect(person.status).to_contain_text("Signed in")
    assert [answer.status for answer in watch.answers if answer.path == "/api/login"] == [200]


def test_signing_out_everywhere_needs_a_confirmation(
    person: Person, devices: DevicesView, elsewhere: SignInElsewhere
) -> None:
    """Escape cancels; the confirmation signs the person out on every device."""
    phone = elsewhere(PHONE)
    person.opens(DEVICES).signs_in("grace")
    devices.everywhere.click()
    expect(devices.dialog).to_be_visible()
    person.page.keyboard.press("Escape")
    expect(devices.everywhere).to_be_focused()
    assert is_signed_in(phone)
    devices.everywhere.press("Enter")
    devices.dialog.get_by_role("button", name="Sign out of all devices").click()
    person.is_at_sign_in()
    assert not is_signed_in(phone)
    assert person.page.evaluate("localStorage.getItem('unexpired')") is None


def test_an_unreachable_server_is_shown_and_can_be_retried(
    person: Person, devices: DevicesView, page: Page
) -> None:
    """A message and a button to try again replace the list."""
    restore = lose(page, "**/api/sessions")
    person.opens(DEVICES).signs_in("grace")
    expect(person.alert).to_contain_text("cannot be reached")
    restore()
    page.get_by_role("button", name="Try again").click()
    expect(devices.items.filter(has_text="this device")).to_be_visible()
    expect(person.alert).to_be_hidden()
