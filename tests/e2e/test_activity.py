"""Activity: the timeline, the tables, and the experiments."""

import json
import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.e2e.conftest import FastForward
from tests.e2e.faults import hold
from tests.e2e.person import Person
from tests.e2e.saved_files import SavedFiles
from tests.e2e.watch import Watch
from tests.support.server_process import PASSWORDS

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


# Resolves in the frame after the window has got another width.
FOLLOWS = """() => {
    const picture = document.querySelector(".timeline");
    const follows = () => picture.viewBox.baseVal.width === picture.clientWidth;
    globalThis.followed = new Promise((resolve) => {
        const onResize = () => requestAnimationFrame(() => resolve(follows()));
        addEventListener("resize", onResize, { once: true });
    });
}"""


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


COVERED = """() => {
    const marks = [...document.querySelectorAll(".timeline .mark.request, .timeline .mark.retry")];
    const boxes = marks.map((mark) => mark.getBoundingClientRect());
    return boxes.filter((box, index) => boxes.some((other, at) => at < index
        && Math.abs(box.x - other.x) < box.width / 2
        && Math.abs(box.y - other.y) < box.height / 2)).length;
}"""


def test_a_burst_of_a_hundred_is_drawn_whole(view: ActivityView) -> None:
    """Each mark is seen, none covers another, and no refusal that was healed looks failed."""
    view.page.emulate_media(reduced_motion="reduce")
    expect(view.tries("Burst of 100 requests")).to_have_text("100 times 200; 1 refresh.")
    healed = view.mark("Request: GET /api/me, 401 TOKEN_EXPIRED")
    expect(healed.and_(view.line.locator(".healed:visible"))).to_have_count(100)
    expect(view.mark("Retry: GET /api/me, 200").and_(view.line.locator(":visible"))).to_have_count(
        100
    )
    expect(view.line.locator(".failed")).to_have_count(0)
    expect(view.line.locator(".size").filter(has_text="100")).not_to_have_count(0)
    assert view.page.evaluate(COVERED) == 0


def test_each_request_has_its_story(view: ActivityView) -> None:
    """Hover, focus and a tap near the mark show it; one request started the refresh."""
    view.tries("Burst of 20 requests")
    refused = view.mark("401 TOKEN_EXPIRED")
    expect(refused).to_have_count(20)
    steps = view.details.get_by_role("listitem")
    refused.last.hover()
    expect(steps).to_have_text(
        [
            "sent",
            re.compile(r"401 TOKEN_EXPIRED after \d+ ms"),
            re.compile(r"waited \d+ ms for the refresh of another request"),
            "retried",
            re.compile(r"200 after \d+ ms"),
        ]
    )
    refused.first.focus()
    expect(steps.nth(2)).to_have_text(re.compile(r"waited \d+ ms for the refresh that it had"))
    box = view.mark("Refresh: POST").bounding_box()
    assert box
    view.page.mouse.click(box["x"] - 4, box["y"] - 4)
    expect(steps).to_have_text(
        [
            "started by GET /api/me",
            "sent",
            re.compile(r"200 after \d+ ms"),
            "20 requests waited for it",
        ]
    )


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


@pytest.mark.parametrize("settings", [{"access_ttl": 900}], ids=["long-lived tokens"])
def test_the_picture_is_as_long_as_what_there_is_to_see(
    person: Person, page: Page, fast_forward: FastForward
) -> None:
    """Else all marks of the first minutes are at its edge, where a token lives for long."""
    person.opens(ACTIVITY).signs_in()
    ticks = ActivityView(page).line.locator(".tick")
    expect(ticks.first).to_have_text("50 s")
    fast_forward("01:30")
    expect(ticks.first).to_have_text("150 s")
    fast_forward("02:00")
    expect(ticks.first).to_have_text("8 min")


def test_the_timeline_stays_one_tab_stop(view: ActivityView) -> None:
    """Exactly one element in it can be reached by Tab, also after that one has left it."""
    stop = view.line.locator("[tabindex='0']:visible")
    expect(stop).to_have_count(1)
    stop.evaluate("mark => { mark.setAttribute('tabindex', '-1') }")
    expect(stop).to_have_count(1)


def test_going_offline_does_not_end_the_session(
    view: ActivityView, person: Person, watch: Watch
) -> None:
    """The page reconnects while offline, and is signed in afterwards, without a sign-in."""
    expect(view.tries("Go offline")).to_contain_text("You are still signed in")
    expect(person.status).to_contain_text(re.compile(r"Reconnecting\s+next attempt in \d+ s"))
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
    """The next sign-in works at once, and the experiment can be done again."""
    view.tries("Go offline")
    expect(person.status).to_contain_text("Reconnecting")
    person.sign_out_button.click()
    person.is_at_sign_in()
    person.signs_in().is_at_notes()
    view.page.get_by_role("link", name="Activity").click()
    expect(view.experiment("Go offline").get_by_role("button")).to_have_text("Go offline")
    expect(view.result("Go offline")).to_be_empty()
    expect(view.tries("Burst of 20 requests")).to_have_text("20 times 200; 1 refresh.")


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


# -- Several tabs ------------------------------------------------------------------------------

OVERHEAR = """() => {
    globalThis.overheard = [];
    const channel = new BroadcastChannel("unexpired.activity");
    channel.addEventListener("message", ({ data }) => overheard.push(data));
}"""


def secrets_of(page: Page, note: str = "") -> list[str]:
    """Return what must not leave the page: the parts of the tokens, the password, a note."""
    record = page.evaluate("JSON.parse(localStorage.getItem('unexpired'))")
    tokens = [record["accessToken"], record["refreshToken"]]
    parts = [part for token in tokens for part in token.split(".") if len(part) > 4]
    return [*parts, PASSWORDS["ada"], "Authorization", "Bearer", *filter(None, [note])]


def test_other_tabs_are_on_the_same_timeline(
    view: ActivityView, context: BrowserContext, text: str
) -> None:
    """What another tab sends has a row of its own, with a story; no message has a secret."""
    other = Person(context.new_page()).opens()
    other.is_at_notes()
    view.page.evaluate(OVERHEAR)
    other.adds(text)
    marks = view.mark("Request: POST /api/notes, 201").and_(view.mark("in another tab"))
    expect(marks).to_have_count(1)
    expect(view.line.get_by_text("other tab 1")).to_have_count(1)
    view.reads_table()
    row = "request POST /api/notes 201"
    expect(view.requests.get_by_role("row", name=row).get_by_role("cell").last).to_have_text(
        "other tab 1"
    )
    own = view.requests.get_by_role("row", name="request POST /api/login 200")
    expect(own.get_by_role("cell").last).to_have_text("this tab")
    marks.dispatch_event("pointerover")  # It moves, and a tab behind another has no focus.
    expect(view.details.get_by_role("listitem")).to_have_text(
        ["sent", re.compile(r"201 after \d+ ms")]
    )
    expect(
        view.mark("Request: GET /api/notes, 200").and_(view.mark("in another tab"))
    ).to_have_count(1)
    overheard = json.dumps(view.page.evaluate("overheard"))
    assert "POST /api/notes" in overheard
    assert [secret for secret in secrets_of(view.page, text) if secret in overheard] == []


def test_a_burst_for_which_another_tab_refreshes_says_so(
    view: ActivityView, context: BrowserContext
) -> None:
    """Of two tabs with the same expired token, one refreshes for both."""
    second = ActivityView(context.new_page())
    Person(second.page).opens(ACTIVITY)
    release = hold(view.page, "**/api/refresh")
    with view.page.expect_request("**/api/refresh"):
        result = view.tries("Burst of 20 requests")
    other = second.tries("Burst of 20 requests")
    release()
    expect(result).to_have_text("20 times 200; 1 refresh.")
    expect(other).to_have_text("20 times 200; 1 refresh, by another tab.")


def test_a_duplicate_of_the_tab_joins_the_timeline(
    view: ActivityView, context: BrowserContext, watch: Watch
) -> None:
    """It starts with the session, and what it sends appears in the first tab."""
    with context.expect_page() as opened:
        result = view.tries("Duplicate this tab")
    duplicate = Person(opened.value)
    expect(duplicate.heading("Activity")).to_be_visible()
    expect(result).to_contain_text("The new tab has started.")
    second = ActivityView(duplicate.page)
    expect(second.tries("Burst of 20 requests")).to_have_text("20 times 200; 1 refresh.")
    expect(second.mark("in another tab").first).to_be_attached()
    view.page.bring_to_front()  # A hidden page draws nothing.
    expect(view.mark("Retry: GET /api/me, 200").and_(view.mark("in another tab"))).to_have_count(20)
    assert watch.count("POST /api/login") == 1


MANY_TABS = """() => {
    const channel = new BroadcastChannel("unexpired.activity");
    const now = Date.now() / 1000;
    const request = { kind: "request", outcome: "200", failed: false, healed: false };
    const post = (tab, calls) => {
        const entries = calls.map((call, at) => ({
            ...request, call, at, number: at, askedAt: null, sentAt: now + 3600, duration: 0.1,
        }));
        channel.postMessage(JSON.stringify({ tab, to: "", hello: false, entries }));
    };
    for (let i = 0; i < 60; i += 1) post(`tab ${i}`, [`GET /from/${i}`]);
    for (let i = 0; i < 10; i += 1) {
        post("tab 59", Array.from({ length: 200 }, (_, at) => `GET /flood/${i}/${at}`));
    }
    post("large", Array(4000).fill("GET /large"));
    channel.postMessage("[".repeat(100000));
    channel.postMessage({ tab: "an object" });
}"""


def test_many_tabs_and_one_that_floods_are_bounded(view: ActivityView) -> None:
    """Four have rows and forty are kept; a clock that is ahead makes no request of the future."""
    view.reads_table()
    view.page.evaluate(MANY_TABS)
    expect(view.line.get_by_text("36 more tabs are in the table")).to_have_count(1)
    names = view.line.locator("text").filter(has_text="other tab")
    expect(names).to_have_text([f"other tab {number}" for number in (57, 58, 59, 60)])
    body = view.requests.locator("tbody")
    expect(body).to_contain_text("GET /from/59")
    expect(body).not_to_contain_text("GET /from/19")
    expect(body).not_to_contain_text("GET /large")
    assert body.get_by_role("row").count() <= 600
    expect(view.line.locator(".mark:visible").and_(view.mark("tab"))).not_to_have_count(0)


# -- Faults ------------------------------------------------------------------------------------


def test_a_slow_network_costs_one_refresh(view: ActivityView, watch: Watch) -> None:
    """Three requests wait for it and succeed."""
    result = view.tries("Slow network")
    expect(result).to_have_text(
        re.compile(r"Three requests, ([4-9]|\d\d) s: 200, 200, 200; 1 refresh\.")
    )
    assert watch.count(REFRESH) == 1


RECORD_REFRESHES = """() => {
    globalThis.refreshes = [];
    const send = globalThis.fetch;
    globalThis.fetch = (url, options) => {
        const body = url.endsWith("/api/refresh") && new TextDecoder().decode(options.body);
        if (body) refreshes.push(JSON.parse(body));
        return send(url, options);
    };
}"""


def test_a_lost_response_does_not_end_the_session(view: ActivityView, person: Person) -> None:
    """The second refresh has the attempt of the first, and gets its tokens."""
    view.page.evaluate(RECORD_REFRESHES)  # Firefox's driver reports no bodies.
    result = view.tries("Lost response")
    expect(result).to_contain_text("The second refresh: new tokens. A request: 200")
    expect(person.status).to_contain_text("Signed in")
    first, second = view.page.evaluate("refreshes")
    assert first == second
    assert first["attempt"]
    expect(view.mark("Refresh: POST /api/refresh, no response")).to_have_class(re.compile("healed"))


def test_a_tab_that_hangs_with_the_lock_does_not_stop_the_others(
    view: ActivityView, watch: Watch
) -> None:
    """The request waits, then its refresh goes without the lock."""
    result = view.tries("Another tab holds the lock")
    expect(result).to_have_text(re.compile(r"After [4-9] s: 200; 1 refresh\."))
    assert watch.count(REFRESH) == 1


def test_experiments_run_one_at_a_time(view: ActivityView, watch: Watch) -> None:
    """A second one would change the result of the first, so it says why it does not run."""
    slow = view.tries("Slow network")
    burst = view.tries("Burst of 20 requests")
    expect(burst).to_have_text("“Slow network” has to end first.")
    expect(slow).to_have_text(re.compile(r"Three requests, \d+ s: 200, 200, 200; 1 refresh\."))
    expect(burst).to_be_empty()
    assert watch.count(REFRESH) == 1
    expect(view.tries("Burst of 20 requests")).to_have_text("20 times 200; 1 refresh.")


def test_an_experiment_without_a_network_says_what_came_of_it(
    view: ActivityView, person: Person, page: Page
) -> None:
    """None fails without a word, and none leaves a fault behind for the time after."""
    page.context.set_offline(True)
    unreachable = "The server cannot be reached right now. Please try again."
    results: dict[str, str | re.Pattern[str]] = {
        "Burst of 20 requests": re.compile(r"20 times no response; \d+ refresh(es)?\."),
        "Slow network": re.compile(r"Three requests, \d+ s: no response, no response, no"),
        "Lost response": unreachable,
        "Another tab holds the lock": re.compile(r"After \d+ s: no response; "),
        "Wrong device clock": unreachable,
        "Steal my tokens": unreachable,
        "Damage my token": unreachable,
        "Revoke my session": unreachable,
    }
    for name, result in results.items():
        expect(view.tries(name)).to_have_text(result)
    page.context.set_offline(False)
    expect(person.status).to_contain_text("Signed in")
    expect(view.tries("Burst of 20 requests")).to_have_text("20 times 200; 1 refresh.")
    expect(view.tries("Wrong device clock")).to_have_text(
        "Three requests, an hour ahead: 200, 200, 200; 1 refresh."
    )


def test_a_blocked_window_is_explained(view: ActivityView, page: Page) -> None:
    """A browser that opens no window leaves the page as it is."""
    page.evaluate("globalThis.open = () => null")
    expect(view.tries("Duplicate this tab")).to_have_text(
        "This browser blocked the new tab. Allow this page to open windows, and try again."
    )


def test_a_browser_without_locks_has_nothing_to_hold(person: Person, page: Page) -> None:
    """An insecure origin, for one, has none."""
    page.add_init_script("delete Navigator.prototype.locks")
    person.opens(ACTIVITY).signs_in()
    expect(ActivityView(page).tries("Another tab holds the lock")).to_have_text(
        "This browser has no lock among tabs. Each tab refreshes without it."
    )


# -- Recordings --------------------------------------------------------------------------------


@pytest.fixture
def recording(view: ActivityView, person: Person, text: str, saved_files: SavedFiles) -> Path:
    """A recording of a note and a burst."""
    view.page.goto("/#/notes")
    person.is_at_notes()
    person.adds(text)
    view.page.goto(ACTIVITY)
    view.tries("Burst of 20 requests")
    expect(view.result("Burst of 20 requests")).to_contain_text("20 times 200")
    file = saved_files.press(view.page.get_by_role("button", name="Save a recording"))
    expect(view.page.get_by_text("Saved as unexpired-recording.json")).to_be_visible()
    return file


def test_a_recording_has_no_secret(view: ActivityView, recording: Path, text: str) -> None:
    """It has the requests, but no token, no header, no password and no note."""
    recorded = recording.read_text("utf-8")
    assert "POST /api/notes" in recorded
    assert "401 TOKEN_EXPIRED" in recorded
    assert [secret for secret in secrets_of(view.page, text) if secret in recorded] == []


def test_a_recording_is_drawn_as_it_was(recording: Path, context: BrowserContext) -> None:
    """Another page shows its marks and their stories, moves in it, and returns to the present."""
    page = context.new_page()
    Person(page).opens(ACTIVITY)
    other = ActivityView(page)
    other.mark("Request: GET /api").first.focus()
    expect(other.details).to_contain_text("Request: GET /api")
    page.get_by_label("File with a recording").set_input_files(recording)
    expect(page.get_by_text(re.compile(r"A recording of .+, with \d+ requests\."))).to_be_visible()
    expect(other.details).to_have_text(re.compile("Point at a bar or a mark"))  # It has others.
    expect(other.line.get_by_text("now", exact=True)).to_have_count(0)
    healed = other.line.locator(".request.healed:visible")
    expect(healed).to_have_count(20)
    healed.first.focus()
    expect(other.details.get_by_role("listitem").nth(2)).to_contain_text("waited")
    moment = page.get_by_role("slider", name="Moment")
    moment.press("Home")
    expect(healed).to_have_count(0)
    moment.press("End")
    expect(healed).to_have_count(20)
    page.get_by_role("button", name="Back to the present").click()
    expect(moment).to_be_hidden()
    expect(other.line.locator(".request.healed:not([aria-label*=tab])")).to_have_count(0)
    expect(page.get_by_role("button", name="Open a recording")).to_be_focused()
    expect(other.line.get_by_text("now", exact=True)).to_have_count(1)


LOOK = """() => {
    globalThis.states = new Set();
    globalThis.steps = [];
    const slider = document.querySelector(".replay [type=range]");
    let shown = slider.value;
    const look = () => {
        for (const mark of document.querySelectorAll(".timeline .mark.request")) {
            if (mark.getAttribute("aria-label")?.includes("/api/me")) states.add(mark.classList[2]);
        }
        if (slider.value !== shown) steps.push(performance.now());
        shown = slider.value;
    };
    new MutationObserver(look).observe(document.querySelector(".timeline"), {
        attributes: true,
        childList: true,
        subtree: true,
    });
}"""
SHORTEST = "Math.min(...steps.slice(1).map((at, index) => at - steps[index]))"


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_a_recording_is_played(
    view: ActivityView, recording: Path, page: Page, motion: Literal["no-preference", "reduce"]
) -> None:
    """By the keyboard: marks appear, are refused and healed; it can pause, and begins again."""
    page.emulate_media(reduced_motion=motion)
    if not page.evaluate(f"matchMedia('(prefers-reduced-motion: {motion})').matches"):
        pytest.skip("This browser cannot emulate how much motion is preferred.")
    page.get_by_label("File with a recording").set_input_files(recording)
    play, pause = (page.get_by_role("button", name=name, exact=True) for name in ("Play", "Pause"))
    moment = page.get_by_role("slider", name="Moment")
    expect(play).to_be_focused()
    healed = view.line.locator(".request.healed:visible")
    expect(healed).to_have_count(20)
    page.evaluate(LOOK)
    page.keyboard.press("Space")
    expect(pause).to_be_focused()
    expect(healed).to_have_count(0)
    page.keyboard.press("Space")
    expect(play).to_be_visible()
    held = moment.input_value()
    moment.press("ArrowRight")
    assert int(moment.input_value()) == int(held) + 1
    page.evaluate("steps.length = 0")
    play.press("Space")
    expect(pause).to_be_visible()
    expect(play).to_be_visible()  # It has come to its end.
    expect(healed).to_have_count(20)
    assert "healed" in page.evaluate("[...states]")
    assert (page.evaluate(SHORTEST) > 900) == (motion == "reduce")


def test_an_experiment_returns_to_the_present(view: ActivityView, recording: Path) -> None:
    """What it does would not be seen in the recording."""
    view.page.get_by_label("File with a recording").set_input_files(recording)
    back = view.page.get_by_role("button", name="Back to the present")
    expect(back).to_be_visible()
    expect(view.tries("Burst of 20 requests")).to_have_text("20 times 200; 1 refresh.")
    expect(back).to_be_hidden()
    expect(view.mark("Retry: GET /api/me, 200")).to_have_count(40)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"requests": "<img src=x onerror=alert(1)>"}', "This file is no recording of this page."),
        ("[" * 100_000, "This file is no recording of this page."),
        (
            '{"format": "unexpired-recording", "version": 1, "requests": "<img>"}',
            "This recording is damaged: a part of it is missing, or was changed.",
        ),
        (
            '{"format": "unexpired-recording", "version": 1, "recordedAt": 1e999}',
            "This recording is damaged: a part of it is missing, or was changed.",
        ),
        (
            '{"format": "unexpired-recording", "version": 2}',
            "This recording was saved by another version of this page, which has its own form.",
        ),
        (
            " " * 100_000_000,
            "This file is too large for a recording. None has more than 2 MB.",
        ),
    ],
    ids=["HTML", "deep", "damaged", "infinite", "another version", "100 MB"],
)
def test_a_file_that_is_no_recording_is_refused(
    view: ActivityView, tmp_path: Path, content: str, sentence: str
) -> None:
    """The view stays as it was, and says why."""
    file = tmp_path / "other.json"
    file.write_text(content)
    view.page.get_by_label("File with a recording").set_input_files(file)
    expect(view.page.get_by_text(sentence)).to_be_visible()
    expect(view.mark("Request: POST /api/login")).to_have_count(1)
    expect(view.line.get_by_text("now", exact=True)).to_have_count(1)


# -- The layout --------------------------------------------------------------------------------


def test_the_picture_follows_the_width_at_once(person: Person, page: Page) -> None:
    """Although it is drawn seldom where less motion is preferred."""
    page.emulate_media(reduced_motion="reduce")
    person.opens(ACTIVITY).signs_in()
    expect(person.heading("Activity")).to_be_focused()
    page.evaluate(FOLLOWS)
    page.set_viewport_size({"width": 500, "height": 800})
    assert page.evaluate("followed")


@pytest.mark.parametrize("size", [(320, 640), (390, 844), (1280, 800)], ids=str)
def test_an_experiment_is_beside_the_picture(view: ActivityView, size: tuple[int, int]) -> None:
    """A button and all of the picture are on the screen at once, also after the last one."""
    view.page.set_viewport_size({"width": size[0], "height": size[1]})
    for name in ("Burst of 20 requests", "Damage my token"):
        button = view.experiment(name).get_by_role("button")
        button.focus()
        button.scroll_into_view_if_needed()
        picture, pressed = view.line.bounding_box(), button.bounding_box()
        assert picture
        assert pressed
        top = min(picture["y"], pressed["y"])
        bottom = max(picture["y"] + picture["height"], pressed["y"] + pressed["height"])
        assert bottom - top <= size[1]
        assert 0 <= pressed["x"] <= size[0] - pressed["width"]
