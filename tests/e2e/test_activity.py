"""Activity: what happens behind the page, drawn and told, and experiments on it."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.person import Person
from tests.e2e.watch import Watch

ACTIVITY = "/#/activity"
REFRESH = "POST /api/refresh"
PROBE = "GET /api/me"


WIDE_ENOUGH = "bar => bar.getBoundingClientRect().width > 3"  # It grows with time.


class ActivityView:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.line = page.get_by_role("group", name="Time line")
        self.details = page.locator(".details")
        self.requests = page.get_by_role("table", name="Requests")
        self.tokens = page.get_by_role("table", name="Access tokens")

    def mark(self, words: str) -> Locator:
        return self.line.get_by_role("img", name=words)

    def experiment(self, name: str) -> Locator:
        return self.page.get_by_role("article").filter(
            has=self.page.get_by_role("heading", name=name)
        )

    def tries(self, name: str) -> Locator:
        """Press the button of an experiment; return where it says what came of it."""
        self.experiment(name).get_by_role("button").click()
        return self.said(name)

    def said(self, name: str) -> Locator:
        return self.experiment(name).locator(".said")

    def reads_table(self) -> None:
        self.page.get_by_text("Read it as a table").click()


@pytest.fixture
def view(person: Person, page: Page) -> ActivityView:
    """The view, opened by somebody who is signed in."""
    person.opens(ACTIVITY).signs_in()
    expect(person.heading("Activity")).to_be_focused()
    return ActivityView(page)


def test_a_burst_with_an_expired_token_is_one_refresh_and_twenty_retries(
    view: ActivityView, watch: Watch
) -> None:
    """Twenty refusals, one refresh, twenty retries, all drawn; each mark tells what it is."""
    said = view.tries("Burst of 20 requests")
    expect(said).to_have_text("20 times 200; 1 refresh.")
    assert (watch.count(REFRESH), watch.count(PROBE)) == (1, 20)
    expect(view.mark("Request: GET /api/me, 401 TOKEN_EXPIRED")).to_have_count(20)
    expect(view.mark("Retry: GET /api/me, 200")).to_have_count(20)
    expect(view.mark("Refresh: POST /api/refresh, 200")).to_have_count(1)


def test_a_mark_is_told_apart_by_shape_and_told_in_words(view: ActivityView) -> None:
    """Four kinds, four shapes; what has the focus is said; arrow keys go from mark to mark."""
    view.tries("Burst of 20 requests")
    kinds = ["Retry: GET", "Refresh: POST", "Request: POST /api/login", "401 TOKEN_EXPIRED"]
    shapes = {view.mark(kind).first.get_attribute("d") for kind in kinds}
    assert len(shapes) == 4
    view.line.locator("[tabindex='0']").focus()
    view.page.keyboard.press("End")
    expect(view.details).to_contain_text("Retry: GET /api/me, 200 after")
    view.page.keyboard.press("Home")
    expect(view.details).to_have_text(re.compile("Token: born|Request: POST /api/login, 200 after"))
    expect(view.line.locator("[tabindex='0']")).to_be_focused()
    view.mark("Refresh: POST").hover()
    expect(view.details).to_contain_text("Refresh: POST /api/refresh, 200 after")


def test_the_table_tells_the_same(view: ActivityView) -> None:
    """Whoever reads finds every request with its outcome, the newest first."""
    view.reads_table()
    view.tries("Burst of 20 requests")
    expect(view.requests.get_by_role("row", name="retry GET /api/me 200")).to_have_count(20)
    expect(view.requests.get_by_role("row", name="request POST /api/login 200")).to_have_count(1)
    expect(view.requests.get_by_role("row").nth(1)).to_contain_text("retry")


def test_the_life_of_a_token_is_drawn_with_its_margin(view: ActivityView) -> None:
    """A new token ends the bar of the last one and begins its own."""
    bars = view.line.locator("rect.life")
    expect(bars).to_have_count(1)
    view.tries("Burst of 20 requests")
    expect(bars).to_have_count(2)


def test_the_life_of_a_token_is_told_to_whoever_points_at_it(view: ActivityView) -> None:
    """Arrow keys reach its bar, as the pointer does: born, refresh due, ends; once over, how."""
    token = view.mark("Token: born")
    expect(token).to_have_count(1)
    view.line.locator("[tabindex='0']").focus()
    for key in ("Home", "ArrowRight"):  # The request to sign in and its token, in either order.
        view.page.keyboard.press(key)
        if token.evaluate("token => token === document.activeElement"):
            break
    expect(token).to_be_focused()
    expect(view.details).to_have_text(re.compile(r"Token: born .+, refresh due .+, ends .+"))
    view.tries("Burst of 20 requests")
    expect(view.details).to_have_text(re.compile(r"Token: born .+, ended .+, renewed"))
    newest = view.mark(", ends")
    view.page.wait_for_function(WIDE_ENOUGH, arg=newest.element_handle())
    newest.hover()
    expect(view.details).to_have_text(re.compile(r"Token: born .+, refresh due .+, ends .+"))


def test_the_table_tells_of_each_tokens_life(view: ActivityView) -> None:
    """Born, refresh due, ends: the newest first; what became of those before it."""
    view.reads_table()
    rows = view.tokens.locator("tbody").get_by_role("row")
    expect(rows).to_have_count(1)
    expect(rows.get_by_role("cell")).to_have_text([re.compile(r"\d:\d\d:\d\d")] * 3 + ["good"])
    view.tries("Burst of 20 requests")
    expect(rows).to_have_count(2)
    expect(rows.first.get_by_role("cell").last).to_have_text("good")
    expect(rows.last.get_by_role("cell").last).to_have_text("renewed")


def test_the_line_stays_one_stop_of_the_tab_key(view: ActivityView) -> None:
    """Whatever has left the picture or moved on: exactly one thing in it can be reached by Tab."""
    stop = view.line.locator("[tabindex='0']:visible")
    expect(stop).to_have_count(1)
    stop.evaluate("mark => { mark.setAttribute('tabindex', '-1') }")
    expect(stop).to_have_count(1)


def test_offline_is_an_interruption_and_no_end(
    view: ActivityView, person: Person, watch: Watch
) -> None:
    """Degraded while it lasts, active afterwards, and nobody had to sign in."""
    expect(view.tries("Go offline")).to_contain_text("You are still signed in (degraded)")
    expect(person.status).to_contain_text("degraded")
    expect(view.mark("Refresh: POST /api/refresh, no answer").first).to_be_visible()
    assert watch.count(REFRESH) == 0
    view.page.get_by_role("button", name="Come back online").click()
    expect(view.said("Go offline")).to_have_text("Back online: a request was answered with 200.")
    expect(person.status).to_contain_text("active")
    assert watch.count("POST /api/login") == 1


def test_a_wrong_clock_costs_one_refresh(view: ActivityView, person: Person) -> None:
    """An hour ahead: one refresh, three answers; then the countdown is right again."""
    said = view.tries("Wrong device clock")
    expect(said).to_have_text("Three requests an hour ahead: 200, 200, 200; 1 refresh.")
    expect(person.status).to_contain_text("active")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("Damage my token", "403 INVALID_TOKEN"),
        ("Revoke my session", "401 SESSION_REVOKED"),
    ],
)
def test_a_session_that_ends_brings_back_to_what_it_showed(
    view: ActivityView, person: Person, watch: Watch, name: str, answer: str
) -> None:
    """The server refuses, the person signs in and is back here, where the outcome stands."""
    view.experiment(name).get_by_role("button").click()
    person.is_at_sign_in()
    person.signs_in()
    expect(person.heading("Activity")).to_be_visible()
    expect(view.said(name)).to_contain_text("was refused")
    expect(view.mark(f"Request: GET /api/me, {answer}")).to_have_count(1)
    assert watch.count(REFRESH) == 0


def test_signing_out_offline_keeps_nobody_out(view: ActivityView, person: Person) -> None:
    """The experiment ends with the session: signing in works at once."""
    view.tries("Go offline")
    expect(person.status).to_contain_text("degraded")
    person.sign_out_button.click()
    person.is_at_sign_in()
    person.signs_in().is_at_notes()


def test_claims_can_be_read_and_no_token_is_on_the_page(view: ActivityView, page: Page) -> None:
    """The claims of the token that was sent last; of the token itself no part."""
    view.tries("Burst of 20 requests")
    view.reads_table()
    page.get_by_text("Claims of the access token").click()
    expect(page.get_by_role("term").filter(has_text="exp")).to_be_visible()
    record = page.evaluate("JSON.parse(localStorage.getItem('unexpired'))")
    html = page.content()
    for token in (record["accessToken"], record["refreshToken"]):
        assert not any(part in html for part in token.split("."))
