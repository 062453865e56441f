"""Activity in WebKitGTK: each mark and its story, the experiments, several tabs, and recordings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, WebKitGTK
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.e2e.test_activity import COVERED
from tests.e2e.test_demo_site import THIEF_IS_REFUSED
from tests.support.server_process import PASSWORDS, ServerProcess
from tests.support.webkitgtk import DOWNLOADS
from tests.webkit.conftest import serving
from tests.webkit.window import Window

HEALED = ".timeline .mark.request.healed"
REFRESH = '.timeline .mark[aria-label^="Refresh: POST"]'
ELSEWHERE = '.timeline [aria-label*="in another tab"]'
STORY = ".details ol"
BURST = "Burst of 20 requests"


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose tokens last, so that only experiments renew them."""
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


def count(selector: str) -> str:
    return f"document.querySelectorAll('{selector}').length"


@pytest.fixture
def view(window: Window) -> Window:
    """The view of a person who is signed in."""
    return window.opens("/#/activity").signs_in(then="Activity")


def result(window: Window, name: str) -> str:
    """Return what an experiment has shown."""
    cards = "[...document.querySelectorAll('.experiments article')]"
    card = f"{cards}.find((one) => one.querySelector('h3').textContent === {json.dumps(name)})"
    return str(window.evaluate(f"{card}.querySelector('.result').textContent"))


def tries(window: Window, name: str, *parts: str) -> None:
    """Run an experiment, and wait until its result has all of these parts."""
    window.presses(name)
    window.waits(lambda: all(part in result(window, name) for part in parts))


def test_a_burst_of_a_hundred_is_drawn_and_has_stories(view: Window, webkit: WebKitGTK) -> None:
    """No mark covers another; the focus and a tap beside a mark show what happened to it."""
    tries(view, "Burst of 100 requests", "100 times 200; 1 refresh.")
    view.holds(f"{count(HEALED)} === 100")
    view.holds(f"{count('.timeline .mark.retry')} === 100")
    view.holds(f"({COVERED})() === 0")
    assert view.evaluate(count(".timeline .failed")) == 0
    view.evaluate(f"document.querySelector('{HEALED}').focus()")
    for step in ("sent", "401 TOKEN_EXPIRED after", "waited", "retried", "200 after"):
        view.shows(step, STORY)
    mark = webkit.find_element(By.CSS_SELECTOR, REFRESH)
    ActionChains(webkit).move_to_element_with_offset(mark, -4, -4).click().perform()
    view.shows("100 requests waited for it", STORY)


def test_the_session_survives_each_fault(view: Window) -> None:
    """A slow line, a lost response, a wrong clock, a tab that hangs, a thief, and no line."""
    first = view.record
    tries(view, "Slow network", "200, 200, 200; 1 refresh.")
    tries(view, "Lost response", "The second refresh: new tokens. A request: 200")
    tries(view, "Another tab holds the lock", " s: 200; 1 refresh.")
    tries(view, "Wrong device clock", "an hour ahead: 200, 200, 200; 1 refresh.")
    tries(view, "Steal my tokens", *THIEF_IS_REFUSED)
    tries(view, "Go offline", "You are still signed in, and the page tries again")
    view.shows("Reconnecting", "header")
    view.presses("Come back online")
    view.waits(lambda: "Response to a request: 200" in result(view, "Go offline"))
    view.shows("Signed in", "header")
    assert view.record["session"] == first["session"]


def test_a_duplicate_of_the_tab_is_on_the_same_time_line(view: Window) -> None:
    """It starts with the session; after a revocation both ask for a sign-in, and tell why."""
    other = view.follows(lambda: view.presses("Duplicate this tab")).is_ready()
    other.find("h1", "Activity")
    tries(other, BURST, "20 times 200")
    view.waits(lambda: "The new tab has started." in result(view, "Duplicate this tab"))
    view.holds(f"{count(ELSEWHERE)} > 20")
    view.shows("other tab 1", ".timeline")
    view.presses("Revoke my session")
    for window in (other, view):
        window.find("h1", "Sign in")
    view.signs_in_again(then="Activity")
    view.waits(lambda: "was refused" in result(view, "Revoke my session"))


def test_a_recording_has_no_secret_and_is_drawn_as_it_was(view: Window, desktop: Path) -> None:
    """It is saved, opened, moved in, and left for the present."""
    view.views("Notes").adds("kept to myself")
    view.views("Activity")
    tries(view, BURST, "20 times 200")
    view.presses("Save a recording")
    view.shows("Saved as unexpired-recording.json")
    file = desktop / DOWNLOADS / "unexpired-recording.json"
    view.waits(file.exists)
    recorded = file.read_text("utf-8")
    assert "POST /api/notes" in recorded
    assert "401 TOKEN_EXPIRED" in recorded
    assert [secret for secret in secrets_of(view) if secret in recorded] == []
    view.forgets().opens("/#/activity").signs_in(then="Activity")
    assert view.evaluate(count(HEALED)) == 0
    chooser = "document.querySelector('[aria-label=\"File with a recording\"]')"
    view.evaluate(chooser).send_keys(str(file))
    view.shows("A recording of", ".replay")
    view.holds(f"{count(HEALED)} === 20")
    moment = view.find("input", "Moment")
    moment.send_keys(Keys.HOME)
    view.holds(f"{count(HEALED)} === 0")
    moment.send_keys(Keys.END)
    view.holds(f"{count(HEALED)} === 20")
    view.presses("Back to the present")
    view.holds(f"{count(HEALED)} === 0")


def secrets_of(window: Window) -> list[str]:
    """Return what must not leave the page: the parts of the tokens, the password, a note."""
    tokens = [window.record[name] for name in ("accessToken", "refreshToken")]
    parts = [part for token in tokens for part in token.split(".") if len(part) > 4]
    return [*parts, PASSWORDS["ada"], "Authorization", "Bearer", "kept to myself"]
