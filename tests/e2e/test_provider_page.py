"""The page at npm's oidc-provider, for a session of our own server."""

import json
import re
import socket
from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.e2e.faults import hold, lose
from tests.e2e.person import Person
from tests.e2e.test_language import GERMAN, prefer
from tests.e2e.watch import Watch
from tests.support.built_page import built_page
from tests.support.oidc_provider import CLIENT_SECRETS, OidcProvider, sign_in_on_page
from tests.support.server_process import ServerProcess

LABEL = "Our company"
ACCESS_TTL = 2  # s
CALLBACK = "/api/login/provider/callback"
TOKEN = "/api/login/provider/token"
REDEEM, REFRESH = f"POST {TOKEN}", "POST /api/refresh"
FEATURES = "**/api/features"
RUNTIME = "**/pyodide.asm.wasm"

CANCELLED = "Signing in was cancelled, or your account may not be used here."
UNKNOWN = "This sign-in did not start here, or is finished already. Please sign in."
USED = "This sign-in has been used or is too old. Please sign in again."
ABANDONED = "You came back before you had signed in. Please sign in."
BUSY = "Your sign-in provider is not available right now. Please try again in a moment."
NO_STORAGE = "Your browser blocks storage, and signing in needs it. Please allow it."
UNREACHABLE = "The server cannot be reached right now. Please try again."
NO_PASSWORD = f"You sign in with {LABEL}, so there is no password to change here."

BLOCKED = "Object.defineProperty(window, 'sessionStorage', { get() { throw new Error() } })"
COOKIE = "__Host-unexpired"
STORED = "JSON.parse(localStorage.getItem('unexpired'))"


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    """A provider of another site than the page, which is at localhost."""
    with OidcProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def backend(
    provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server that knows the provider, by an address that the provider knows."""
    port = free_port()
    url = f"http://localhost:{port}"
    provider.change(server_redirect_uris=[f"{url}{CALLBACK}"])
    server = ServerProcess(
        tmp_path_factory.mktemp("server"),
        f"--port={port}",
        UNEXPIRED_PUBLIC_URL=url,
        UNEXPIRED_ACCESS_TTL=str(ACCESS_TTL),
        UNEXPIRED_LEEWAY="0",
        UNEXPIRED_COOKIES="true",
        UNEXPIRED_LOGIN_WITH=provider.issuer,
        UNEXPIRED_LOGIN_WITH_CLIENT_ID="server",
        UNEXPIRED_LOGIN_WITH_CLIENT_SECRET=CLIENT_SECRETS["server"],
        UNEXPIRED_LOGIN_WITH_LABEL=LABEL,
        UNEXPIRED_PAGE_DIR=str(built_page()),
    ).start()
    yield server
    server.stop()


@pytest.fixture
def home(backend: ServerProcess) -> str:
    """The address that the server knows itself by, where browsers keep its cookies without TLS."""
    return backend.url.replace("127.0.0.1", "localhost")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
def watch(watch: Watch, provider: OidcProvider) -> Iterator[Watch]:
    """Admits the provider, where nobody is signed in."""
    watch.admit(provider.issuer)
    watch.context.clear_cookies()
    yield watch
    provider.fail()


@pytest.fixture
def name() -> str:
    """A name that no other test signs in with."""
    return f"ada{uuid4().hex[:8]}"


def goes_to_provider(person: Person, label: str = f"Sign in with {LABEL}") -> None:
    person.page.get_by_role("button", name=label, exact=True).click()


def signs_in_there(person: Person, name: str) -> None:
    goes_to_provider(person)
    sign_in_on_page(person.page, name)


def reads_at_sign_in(person: Person, sentence: str) -> None:
    """See a sentence at the form, and nothing of the sign-in in the address."""
    person.is_at_sign_in()
    expect(person.alert).to_have_text(sentence)
    expect(person.username).to_be_visible()
    assert not re.search("code=|failed=|attempt=", person.page.url)


# -- What works --------------------------------------------------------------------------------


def test_a_person_signs_in_stays_signed_in_and_signs_out(
    person: Person, page: Page, watch: Watch, name: str, text: str
) -> None:
    """They are back where they were, and the session is one of the server's, bound to a key."""
    person.opens("/#/notes?from=mail")
    person.is_at_sign_in()
    signs_in_there(person, name)
    person.is_at_notes()
    expect(page).to_have_url("/#/notes?from=mail")
    expect(page.get_by_text(name, exact=True)).to_be_visible()
    person.adds(text)
    while watch.count(REFRESH) < 2:
        with page.expect_response("**/api/notes") as response:
            person.opens("/#/notes").is_at_notes()
            page.reload()
        assert response.value.status == 200
    expect(person.note(text)).to_be_visible()
    person.sign_out_button.click()
    person.is_at_sign_in()
    assert page.evaluate("localStorage.length") == 0
    assert watch.count(REDEEM) == 1


def test_the_refresh_token_may_be_in_a_cookie(
    person: Person, page: Page, watch: Watch, name: str
) -> None:
    page.route("**/pyscript.json", keep_in_cookie)
    person.opens()
    signs_in_there(person, name)
    person.is_at_notes()
    assert COOKIE in {cookie["name"] for cookie in page.context.cookies()}
    assert '"refreshToken":"' not in page.evaluate("JSON.stringify(Object.values(localStorage))")
    person.opens("/#/devices")
    expect(page.locator(".binding")).to_have_text("Bound to its browser")
    with page.expect_response("**/api/refresh") as response:
        page.reload()
    assert response.value.status == 200
    assert watch.count(REDEEM) == 1


def keep_in_cookie(route: Route) -> None:
    settings = route.fetch().json()
    settings["unexpired"]["storage"] = "cookie"
    route.fulfill(json=settings)


def test_there_is_no_password_to_change(person: Person, page: Page, name: str) -> None:
    person.opens("/#/devices")
    signs_in_there(person, name)
    expect(page.locator(".binding")).to_have_text("Bound to its browser")
    expect(page.get_by_role("link", name="Change password")).to_be_hidden()
    page.goto("/#/password")
    expect(person.heading("Change password")).to_be_visible()
    expect(page.get_by_text(NO_PASSWORD)).to_be_visible()
    expect(page.get_by_label("Current password")).to_be_hidden()


def test_a_draft_is_kept_across_the_end_of_a_session(
    person: Person, page: Page, name: str, text: str
) -> None:
    person.opens()
    signs_in_there(person, name)
    person.is_at_notes()
    person.new_note.fill(text)
    token = page.evaluate(STORED)["refreshToken"]
    page.request.post("/api/logout", data={"refreshToken": token})
    page.goto("/#/devices")
    person.is_at_sign_in()
    goes_to_provider(person)  # Where they are still signed in.
    expect(person.heading("Devices")).to_be_visible()
    page.goto("/#/notes")
    expect(person.new_note).to_have_value(text)
    expect(page.get_by_text(name, exact=True)).to_be_visible()


def test_the_code_leaves_the_address_before_python_runs(
    person: Person, page: Page, watch: Watch, name: str
) -> None:
    """The form is not shown meanwhile: nobody has to fill it in."""
    person.opens()
    goes_to_provider(person)
    release = hold(page, RUNTIME)
    sign_in_on_page(page, name)
    expect(page.locator("#boot-stage")).to_be_visible()
    expect(page).to_have_url("/#/login?next=%2F%23%2Fnotes")
    expect(person.username).to_be_hidden()
    assert watch.count(REDEEM) == 0
    release()
    person.is_at_notes()


def test_the_page_shows_that_it_waits(person: Person, page: Page, name: str) -> None:
    person.opens()
    goes_to_provider(person)
    release = hold(page, f"**{TOKEN}")
    sign_in_on_page(page, name)
    expect(page.get_by_text("Signing you in…")).to_be_visible()
    expect(page.locator("#sign-in form")).to_have_attribute("aria-busy", "true")
    expect(person.username).to_be_hidden()
    release()
    person.is_at_notes()


def test_two_tabs_sign_in_at_once(person: Person, page: Page, watch: Watch, name: str) -> None:
    second = Person(page.context.new_page())
    for one in (person, second):
        one.opens()
        goes_to_provider(one)
        one.page.wait_for_url(re.compile("/interaction/"))
    sign_in_on_page(second.page, name)
    second.is_at_notes()
    sign_in_on_page(page, name)
    person.is_at_notes()
    assert watch.count(REDEEM) == 2


# -- What does not -----------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_refusal_at_the_provider_is_a_sentence(page: Page, name: str, language: str) -> None:
    """Another attempt works."""
    prefer(page, [language])
    person = Person(page, GERMAN if language == "de" else None)
    person.opens("/#/devices")
    button = person.reads("Sign in with {}").format(LABEL)
    goes_to_provider(person, button)
    sign_in_on_page(page, name, refuses=True)
    reads_at_sign_in(person, person.reads(CANCELLED))
    expect(page).to_have_url("/#/login?next=%2F%23%2Fdevices")
    goes_to_provider(person, button)
    sign_in_on_page(page, name)
    expect(person.heading("Devices")).to_be_visible()


def test_a_provider_that_is_down_is_a_sentence(
    person: Person, provider: OidcProvider, name: str
) -> None:
    person.opens()
    provider.fail(token=503)
    signs_in_there(person, name)
    reads_at_sign_in(person, BUSY)


def test_a_server_that_is_down_does_not_lead_away(person: Person, page: Page) -> None:
    person.opens()
    expect(page.get_by_role("button", name=f"Sign in with {LABEL}")).to_be_visible()
    restore = lose(page, FEATURES)
    goes_to_provider(person)
    reads_at_sign_in(person, UNREACHABLE)
    restore()
    goes_to_provider(person)
    page.wait_for_url(re.compile("/interaction/"))


def test_a_code_that_got_no_response_is_tried_again_by_a_reload(
    person: Person, page: Page, name: str
) -> None:
    person.opens()
    goes_to_provider(person)
    restore = lose(page, f"**{TOKEN}")
    sign_in_on_page(page, name)
    reads_at_sign_in(person, UNREACHABLE)
    restore()
    page.reload()
    person.is_at_notes()


def test_a_code_that_is_used_or_expired_is_a_sentence_once(
    person: Person, page: Page, watch: Watch, name: str, browser_name: str
) -> None:
    """A reload does not send it again."""
    if browser_name == "firefox":
        pytest.skip("Firefox shows a test no body of a request, and this one sends it first.")
    person.opens()
    goes_to_provider(person)
    release = hold(page, f"**{TOKEN}")
    with page.expect_request(f"**{TOKEN}") as request:
        sign_in_on_page(page, name)
    body = json.loads(request.value.post_data or "")
    assert page.request.post(TOKEN, data={**body, "cookie": False}).ok
    release()
    reads_at_sign_in(person, USED)
    page.reload()
    person.waits_until_ready().is_at_sign_in()
    expect(person.alert).to_be_hidden()
    assert watch.count(REDEEM) == 1


def test_a_code_in_another_tab_is_worth_nothing(
    person: Person, page: Page, watch: Watch, name: str
) -> None:
    """Nor does it spoil the code for the tab that began the sign-in."""
    addresses: list[str] = []

    def note(response: Response) -> None:
        if CALLBACK in response.url:
            addresses.append(response.headers["location"])

    page.on("response", note)
    person.opens()
    goes_to_provider(person)
    restore = lose(page, f"**{TOKEN}")
    sign_in_on_page(page, name)
    reads_at_sign_in(person, UNREACHABLE)
    assert "code=" in addresses[0]
    other = Person(page.context.new_page()).opens(addresses[0])
    reads_at_sign_in(other, UNKNOWN)
    assert watch.count(REDEEM) == 1
    restore()
    page.reload()
    person.is_at_notes()
    third = Person(page.context.new_page()).opens(addresses[0])
    third.is_at_notes()
    assert "code=" not in third.page.url


@pytest.mark.parametrize("query", ["code=abc&attempt=abc", "code=abc", "failed=NOT_ALLOWED"])
def test_a_forged_return_says_nothing_and_sends_nothing(
    person: Person, watch: Watch, query: str
) -> None:
    person.opens(f"/#/login?{query}")
    reads_at_sign_in(person, UNKNOWN)
    assert watch.count(REDEEM) == 0


def test_who_comes_back_by_the_button_can_go_on(person: Person, page: Page, name: str) -> None:
    """Forward leads to the provider again, and its answer counts."""
    person.opens()
    goes_to_provider(person)
    page.wait_for_url(re.compile("/interaction/"))
    page.go_back()
    reads_at_sign_in(person, ABANDONED)
    page.go_forward()
    sign_in_on_page(page, name)
    person.is_at_notes()


def test_a_page_that_the_browser_has_kept_is_usable_again(person: Person, page: Page) -> None:
    """As one in the back-forward cache, which a test cannot rely on."""
    person.opens()
    page.route("**/api/login/provider*", lambda route: route.fulfill(status=204))
    goes_to_provider(person)
    button = page.get_by_role("button", name=f"Sign in with {LABEL}")
    expect(button).to_have_attribute("aria-busy", "true")
    page.wait_for_function("history.state?.leftForProvider")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    reads_at_sign_in(person, ABANDONED)
    expect(button).not_to_have_attribute("aria-busy", "true")


def test_without_storage_nobody_is_sent_away(person: Person, page: Page) -> None:
    page.add_init_script(BLOCKED)
    person.opens()
    goes_to_provider(person)
    reads_at_sign_in(person, NO_STORAGE)
