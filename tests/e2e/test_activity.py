"""Activity: the timeline, the tables, and the experiments."""

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

    def mark(self, label: str) -> Locator:
        return self.line.get_by_role("img", name=label)

    def experiment(self, name: str) -> Locator:
        return self.page.get_by_role("article").filter(
            has=self.page.get_by_role("heading", name=name)
        )

    def tries(self, name: str) -> Locator:
        """Press the button of an experiment; return the element that shows the result."""
        self.experiment(name).get_by_role("button").click()
        return self.result(name)

    def result(self, name: str) -> Locator:
        return self.experiment(name).locator(".result")

    def reads_table(self) -> None:
        self.page.get_by_text("Show as a table").click()


@pytest.fixture
def view(person: Person, page: Page) -> ActivityView:
    """The view, opened by a signed-in person."""
    person.opens(ACTIVITY).signs_in()
    expect(person.heading("Activity")).to_be_focused()
    return ActivityView(page)


def test_a_burst_with_an_expired_token_is_one_refresh_and_twenty_retries(
    view: ActivityView, watch: Watch
) -> None:
    """Each of the 41 requests has a mark with a label."""
    result = view.tries("Burst of 20 requests")
    expect(result).to_have_text("20 times 200; 1 refresh.")
    assert (watch.count(REFRESH), watch.count(PROBE)) == (1, 20)
    expect(view.mark("Request: GET /api/me, 401 TOKEN_EXPIRED")).to_have_count(20)
    expect(view.mark("Retry: GET /api/me, 200")).to_have_count(20)
    expect(view.mark("Refresh: POST /api/refresh, 200")).to_have_count(1)


def test_marks_differ_in_shape_and_have_a_description(view: ActivityView) -> None:
    """Each kind has its shape; arrow keys move between marks; the focused one is described."""
    view.tries("Burst of 20 requests")
    kinds = ["Retry: GET", "Refresh: POST", "Request: POST /api/login", "401 TOKEN_EXPIRED"]
    shapes = {view.mark(kind).first.get_attribute("d") for kind in kinds}
    assert len(shapes) == 4
    view.line.locator("[tabindex='0']").focus()
    view.page.keyboard.press("End")
    expect(view.details).to_contain_text("Retry: GET /api/me, 200 after")
    view.page.keyboard.press("Home")
    expect(view.details).to_have_text(
        re.compile("Token: issued|Request: POST /api/login, 200 after")
    )
    expect(view.line.locator("[tabindex='0']")).to_be_focused()
    view.mark("Refresh: POST").hover()
    expect(view.details).to_contain_text("Refresh: POST /api/refresh, 200 after")


def test_the_table_lists_every_request(view: ActivityView) -> None:
    """Each request is listed with its outcome, the newest first."""
    view.reads_table()
    view.tries("Burst of 20 requests")
    expect(view.requests.get_by_role("row", name="retry GET /api/me 200")).to_have_count(20)
    expect(view.requests.get_by_role("row", name="request POST /api/login 200")).to_have_count(1)
    expect(view.requests.get_by_role("row").nth(1)).to_contain_text("retry")


def test_each_token_has_a_bar(view: ActivityView) -> None:
    """A new token ends the bar of the last one and starts its own."""
    bars = view.line.locator("rect.lifetime")
    expect(bars).to_have_count(1)
    view.tries("Burst of 20 requests")
    expect(bars).to_have_count(2)


def test_the_lifetime_of_a_token_is_described(view: ActivityView) -> None:
    """Focusing or hovering its bar shows when it was issued, is refreshed and ends, and why."""
    token = view.mark("Token: issued")
    expect(token).to_have_count(1)
    view.line.locator("[tabindex='0']").focus()
    for key in ("Home", "ArrowRight"):  # The sign-in request and its token, in either order.
        view.page.keyboard.press(key)
        if token.evaluate("token => token === document.activeElement"):
            break
    expect(token).to_be_focused()
    expect(view.details).to_have_text(re.compile(r"Token: issued .+, refresh due .+, expires .+"))
    view.tries("Burst of 20 requests")
    expect(view.details).to_have_text(re.compile(r"Token: issued .+, ended .+, renewed"))
    newest = view.mark(", expires")
    view.page.wait_for_function(WIDE_ENOUGH, arg=newest.element_handle())
    newest.hover()
    expect(view.details).to_have_text(re.compile(r"Token: issued .+, refresh due .+, expires .+"))


def test_the_table_lists_every_token(view: ActivityView) -> None:
    """Each token is listed with its times and its state, the newest first."""
    view.reads_table()
    rows = view.tokens.locator("tbody").get_by_role("row")
    expect(rows).to_have_count(1)
    expect(rows.get_by_role("cell")).to_have_text([re.compile(r"\d:\d\d:\d\d")] * 3 + ["valid"])
    view.tries("Burst of 20 requests")
    expect(rows).to_have_count(2)
    expect(rows.first.get_by_role("cell").last).to_have_text("valid")
    expect(rows.last.get_by_role("cell").last).to_have_text("renewed")


def test_the_timeline_stays_one_tab_stop(view: ActivityView) -> None:
    """Exactly one element in it can be reached by Tab, also after that one has left it."""
    stop = view.line.locator("[tabindex='0']:visible")
    expect(stop).to_have_count(1)
    stop.evaluate("mark => { mark.setAttribute('tabindex', '-1') }")
    expect(stop).to_have_count(1)


def test_going_offline_does_not_end_the_session(
    view: ActivityView, person: Person, watch: Watch
) -> None:
    """The session is degraded while offline and active afterwards, without a sign-in."""
    expect(view.tries("Go offline")).to_contain_text("You are still signed in (degraded)")
    expect(person.status).to_contain_text("Reconnecting")
    expect(view.mark("Refresh: POST /api/refresh, no response").first).to_be_visible()
    assert watch.count(REFRESH) == 0
    view.page.get_by_role("button", name="Come back online").click()
    expect(view.result("Go offline")).to_have_text("Back online. Response to a request: 200")
    expect(person.status).to_contain_text("Signed in")
    assert watch.count("POST /api/login") == 1


def test_stolen_tokens_bring_a_thief_no_new_ones(
    view: ActivityView, person: Person, watch: Watch
) -> None:
    """The server refuses the thief twice, and the session goes on."""
    result = view.tries("Steal my tokens")
    expect(result).to_contain_text("without this browser's key: refused (INVALID_PROOF).")
    expect(result).to_contain_text("With a key of the thief's own: refused (REFRESH_INVALID).")
    expect(result).to_contain_text("The access token still works")
    expect(result).to_contain_text("You are still signed in.")
    refused = watch.count(REFRESH)
    expect(view.tries("Burst of 20 requests")).to_have_text("20 times 200; 1 refresh.")
    expect(person.status).to_contain_text("Signed in")
    assert watch.count(REFRESH) == refused + 1
    assert watch.count("POST /api/login") == 1


@pytest.mark.parametrize("settings", [{"dpop": "all"}], ids=["all"])
def test_a_stolen_access_token_is_refused_where_each_call_is_proved(view: ActivityView) -> None:
    """A thief has no key to prove a call with."""
    result = view.tries("Steal my tokens")
    expect(result).to_contain_text("The access token by itself: refused (INVALID_PROOF).")


@pytest.mark.parametrize("settings", [{"dpop": "off"}], ids=["off"])
def test_an_unbound_session_says_what_a_thief_could_do(view: ActivityView, watch: Watch) -> None:
    """It does not try it, because it would end the session."""
    result = view.tries("Steal my tokens")
    expect(result).to_contain_text("a thief could stay signed in as you. Nothing was tried.")
    assert watch.count(REFRESH) == 0


def test_a_wrong_clock_costs_one_refresh(view: ActivityView, person: Person) -> None:
    """Three requests succeed with one refresh, and the session stays active."""
    result = view.tries("Wrong device clock")
    expect(result).to_have_text("Three requests, an hour ahead: 200, 200, 200; 1 refresh.")
    expect(person.status).to_contain_text("Signed in")


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("Damage my token", "403 INVALID_TOKEN"),
        ("Revoke my session", "401 SESSION_REVOKED"),
    ],
)
def test_after_the_session_has_ended_the_person_returns_to_the_result(
    view: ActivityView, person: Person, watch: Watch, name: str, outcome: str
) -> None:
    """The server refuses the request; after the sign-in the view shows the outcome."""
    view.experiment(name).get_by_role("button").click()
    person.is_at_sign_in()
    person.signs_in()
    expect(person.heading("Activity")).to_be_visible()
    expect(view.result(name)).to_contain_text("was refused")
    expect(view.mark(f"Request: GET /api/me, {outcome}")).to_have_count(1)
    assert watch.count(REFRESH) == 0


def test_signing_out_ends_the_offline_experiment(view: ActivityView, person: Person) -> None:
    """The next sign-in works at once."""
    view.tries("Go offline")
    expect(person.status).to_contain_text("Reconnecting")
    person.sign_out_button.click()
    person.is_at_sign_in()
    person.signs_in().is_at_notes()


def test_the_claims_are_shown_but_not_the_token(view: ActivityView, page: Page) -> None:
    """The view shows the last token's claims; the page contains no part of the token."""
    view.tries("Burst of 20 requests")
    view.reads_table()
    page.get_by_text("Claims of the access token").click()
    expect(page.get_by_role("term").filter(has_text="exp")).to_be_visible()
    record = page.evaluate("JSON.parse(localStorage.getItem('unexpired'))")
    html = page.content()
    for token in (record["accessToken"], record["refreshToken"]):
        assert not any(part in html for part in token.split("."))
