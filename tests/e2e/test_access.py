"""The page for everybody: assistive technology, keyboard, narrow screens, large text."""

from collections.abc import Callable
from typing import Literal
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.backend import ROOT
from tests.e2e.person import Person

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
FINDINGS = """async () => (await axe.run()).violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => node.target + " " + node.failureSummary)}`)"""
MOVING = """() => [...document.querySelectorAll("body *")].filter((element) => {
    const { transitionDuration, animationName } = getComputedStyle(element);
    return animationName !== "none" || transitionDuration !== "0s";
}).map(({ tagName, id, className }) => `${tagName} ${id} ${className.baseVal ?? className}`)"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
VIEWS = {
    "notes": "Notes",
    "activity": "Activity",
    "devices": "Devices",
    "secret-key": "Secret key",
}
Check = Callable[[], list[str]]
Tour = Callable[[Check], list[str]]
Scheme = Literal["light", "dark"]


@pytest.fixture
def tour(person: Person, page: Page) -> Tour:
    """Open view after view, with something in each; return what a check finds in any."""

    def findings(check: Check) -> list[str]:
        person.opens("/#/login")
        found = check()
        person.signs_in().is_at_notes()
        person.adds(f"a note {uuid4()}")
        for path, heading in VIEWS.items():
            page.goto(f"/#/{path}")
            expect(person.heading(heading)).to_be_visible()
            _furnish(page, path)
            found += [f"{path}: {finding}" for finding in check()]
        return found

    return findings


def _furnish(page: Page, path: str) -> None:
    """Have the view show what it can show."""
    if path == "activity":
        for summary in page.locator("summary").all():
            summary.click()
        page.get_by_role("button", name="Burst of 20 requests").click()
        expect(page.get_by_text("20 times 200")).to_be_visible()
        expect(page.get_by_role("row", name="retry").first).to_be_visible()
    elif path == "devices":
        expect(page.get_by_text("this device")).to_be_visible()
    elif path == "secret-key":
        page.get_by_label("Judge a secret that you have").fill("changeme")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_view(tour: Tour, page: Page, scheme: Scheme) -> None:
    """Names, roles, contrast and structure are in order, in both colour schemes."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")

    def check() -> list[str]:
        page.evaluate(f"{AXE.read_text()}; null")
        found: list[str] = page.evaluate(FINDINGS)
        return found

    assert tour(check) == []


@pytest.mark.parametrize(("width", "text"), [(320, "100%"), (640, "200%")])
def test_nothing_sticks_out_on_narrow_screens_or_with_large_text(
    tour: Tour, page: Page, width: int, text: str
) -> None:
    """At 320 px, and with text of twice the size, no view scrolls sideways (WCAG 1.4.10, 1.4.4)."""
    page.set_viewport_size({"width": width, "height": 800})

    def check() -> list[str]:
        page.evaluate("size => { document.documentElement.style.fontSize = size }", text)
        sticks_out: int = page.evaluate(OVERFLOW)
        return [f"{sticks_out} px too wide"] if sticks_out > 0 else []

    assert tour(check) == []


def test_nothing_moves_for_whoever_wants_less_motion(tour: Tour, page: Page) -> None:
    """With reduced motion, no view has a transition, and nothing is animated."""
    page.emulate_media(reduced_motion="reduce")

    def check() -> list[str]:
        found: list[str] = page.evaluate(MOVING)
        return found

    assert tour(check) == []


def test_everything_can_be_done_by_keyboard_alone(person: Person, page: Page) -> None:
    """Sign in, write a note, go to another view, run an experiment, sign out: no pointer."""
    keys = page.keyboard
    person.opens()
    expect(person.username).to_be_focused()
    keys.type("ada")
    keys.press("Tab")
    keys.type("correct horse battery")
    keys.press("Enter")
    person.is_at_notes()
    expect(person.heading("Notes")).to_be_focused()
    keys.press("Tab")
    keys.type("by keyboard")
    keys.press("Tab")
    keys.press("Enter")
    expect(person.note("by keyboard").first).to_be_visible()
    _tab_to(page, "Activity", back=True)
    keys.press("Enter")
    expect(person.heading("Activity")).to_be_focused()
    _tab_to(page, "Burst of 20 requests")
    keys.press("Enter")
    expect(page.get_by_text("20 times 200")).to_be_visible()
    _tab_to(page, "Sign out", back=True)
    keys.press("Enter")
    person.is_at_sign_in()
    expect(person.username).to_be_focused()


def _tab_to(page: Page, words: str, *, back: bool = False) -> None:
    """Press Tab until what has the focus bears these words; it must be seen to have it."""
    for _ in range(40):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == words:
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    pytest.fail(f"The Tab key does not lead to {words!r}.")
