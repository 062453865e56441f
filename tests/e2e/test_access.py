"""Accessibility: assistive technology, keyboard, narrow screens, large text."""

import json
from collections.abc import Callable, Iterator
from typing import Literal
from uuid import uuid4

import pytest
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from tests.e2e.conftest import FastForward
from tests.e2e.faults import hold, lose
from tests.e2e.person import Person
from tests.e2e.test_edited_notes import CHANGED, ELSEWHERE, begin, save
from tests.e2e.watch import Watch
from tests.support.paths import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
# Axe cannot tell the contrast of a text in front of a gradient, and says nothing of it.
FINDINGS = """async () => {
    document.documentElement.style.setProperty("--rings", "none");
    return (await axe.run()).violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map((one) => one.target + " " + one.failureSummary)}`);
}"""
MOVING = """() => [...document.querySelectorAll("body *")].filter((element) => {
    const { transitionDuration, animationName } = getComputedStyle(element);
    return animationName !== "none" || transitionDuration !== "0s";
}).map(({ tagName, id, className }) => `${tagName} ${id} ${className.baseVal ?? className}`)"""
# As if another tab had stored that the session cannot be renewed, shortly before its end.
ENDING = """() => {
    const record = JSON.parse(localStorage.getItem("unexpired"));
    const near = { expiresAt: Date.now() / 1000 + 50, refused: "REFRESH_EXPIRED" };
    localStorage.setItem("unexpired", JSON.stringify({ ...record, ...near }));
    dispatchEvent(new StorageEvent("storage", { key: "unexpired" }));
}"""
RUNTIME = "**/pyodide.asm.wasm"
# The focus may also be on the browser's own buttons; then the body is the active element.
OUTSIDE = """() => {
    const { activeElement } = document;
    return activeElement.matches("dialog, dialog *, body") ? "" : activeElement.outerHTML;
}"""
# What is wider than the page, by its name; nothing where nothing scrolls sideways.
OVERFLOW = """() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    const wide = [...document.querySelectorAll("body *")].filter(
        (element) => element.getBoundingClientRect().right > clientWidth);
    return [`${scrollWidth - clientWidth} px too wide: `
        + wide.map((element) => element.cloneNode(false).outerHTML).join(" ")];
}"""
NOTES = "**/api/notes"
FEATURES = "**/api/features"
REDEMPTION = "**/api/login/provider/token"
BACK_FROM_PROVIDER = """() => {
    sessionStorage.setItem("unexpired:provider-sign-ins", JSON.stringify({ one: "a verifier" }));
    location.hash = "#/login?attempt=one&code=two";
}"""
SESSIONS = "**/api/sessions"
RECORDING = json.dumps(
    {
        "format": "unexpired-recording",
        "version": 1,
        "recordedAt": 120,
        "requests": [],
        "tokens": [],
        "otherTabs": [],
    }
).encode()
VIEWS = {
    "notes": "Notes",
    "activity": "Activity",
    "devices": "Devices",
    "password": "Change password",
    "secret-key": "Secret key",
}
ACCOUNTS = {
    "sign-up": "Create account",
    "forgot": "Forgotten password",
    "reset": "New password",
}
"""The views for people without a session."""

Check = Callable[[], list[str]]
Tour = Callable[[Check], list[str]]
Scheme = Literal["light", "dark"]


@pytest.fixture
def settings() -> dict[str, float | str]:
    """The demo's server has every view."""
    return {"demo": "true", "access_ttl": 900, "leeway": 60}


@pytest.fixture
def tour(person: Person, page: Page, watch: Watch) -> Tour:
    """Return a function that runs a check in every state of the page and returns its findings."""

    def findings(check: Check) -> list[str]:
        found: list[str] = []
        for state in _states(person, page):
            found += [f"{state}: {finding}" for finding in check()]
        # The first state is a failed start.
        watch.forgive("Failed to", "wasm", "Error", "Preload", "Fetch API cannot load", "aborted")
        return found

    return findings


def _states(person: Person, page: Page) -> Iterator[str]:
    """Bring the page into each of its states; yield the name of each."""
    yield from _before_sign_in(person, page)
    person.signs_in().is_at_notes()
    yield from _with_notes_in_hand(person, page)
    for path, heading in VIEWS.items():
        page.goto(f"/#/{path}")
        expect(person.heading(heading)).to_be_visible()
        _fill(page, path)
        yield path
    yield from _while_a_list_loads(page)
    yield from _with_stories(page)
    yield from _with_errors(page)


def _before_sign_in(person: Person, page: Page) -> Iterator[str]:
    page.route(FEATURES, offer_provider)
    restore = lose(page, RUNTIME)
    page.goto("/#/login?reason=expired")
    expect(person.alert).to_contain_text("could not be loaded completely")
    yield "a failed start"
    restore()
    page.reload()
    person.waits_until_ready()
    expect(person.alert).to_contain_text("Your session has expired")
    expect(page.get_by_role("button", name="Sign in with Our company")).to_be_visible()
    yield "sign-in after an expiry"
    yield from _back_from_a_provider(page)
    person.signs_in(password="wrong")
    expect(person.alert).to_contain_text("password")
    yield "a wrong password"
    for path, heading in ACCOUNTS.items():
        page.goto(f"/#/{path}?token=pr1.xyz")
        expect(person.heading(heading)).to_be_visible()
        _send_what_is_refused(page)
        yield path
    page.goto("/#/login")
    person.is_at_sign_in()


def _back_from_a_provider(page: Page) -> Iterator[str]:
    release = hold(page, REDEMPTION)
    page.evaluate(BACK_FROM_PROVIDER)
    expect(page.get_by_text("Signing you in…")).to_be_visible()
    yield "a sign-in at a provider"
    release()
    expect(page.get_by_text("Signing you in…")).to_be_hidden()


def _send_what_is_refused(page: Page) -> None:
    """Make the view of an account show an error, or that a link is on its way."""
    for field in page.locator(".card input:not([type=checkbox], [hidden])").all():
        field.fill("ada")
    page.locator(".card [type=submit]").click()
    shown = page.locator(".card .problem:not(:empty), .card > p:is(.result, [role=alert])")
    expect(shown.filter(has_text=".").first).to_be_visible()


def _with_notes_in_hand(person: Person, page: Page) -> Iterator[str]:
    """Edit a note, also elsewhere; delete what came of it, and search for nothing."""
    text = f"a note {uuid4()}"
    person.adds(text)
    begin(person, text)
    yield "a note that is edited"
    page.evaluate(ELSEWHERE, ["PUT", text, f"{text} elsewhere"])
    save(person, f"{text} here")
    expect(person.alert.filter(has_text=CHANGED)).to_be_visible()
    yield "a conflict"
    person.note(f"{text} elsewhere").get_by_role("button", name="Delete note").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    yield "a deletion that can be undone"
    page.get_by_role("searchbox").fill(str(uuid4()))
    expect(page.get_by_text("No note has all of these words.")).to_be_visible()
    yield "a search that finds nothing"
    page.get_by_role("searchbox").fill("")
    expect(person.note(text).first).to_be_visible()


def _with_stories(page: Page) -> Iterator[str]:
    """Show the story of a mark, and a recording."""
    page.goto("/#/activity")
    page.locator(".timeline .mark").last.focus()
    expect(page.locator(".details li").first).to_be_visible()
    yield "a story"
    file: FilePayload = {
        "name": "recording.json",
        "mimeType": "application/json",
        "buffer": RECORDING,
    }
    page.get_by_label("File with a recording").set_input_files(file)
    expect(page.get_by_label("Moment")).to_be_visible()
    yield "a recording"
    page.get_by_role("button", name="Back to the present").click()


def _while_a_list_loads(page: Page) -> Iterator[str]:
    """Show the Devices view again, with its entries of before, until the new ones come."""
    release = hold(page, SESSIONS)
    page.goto("/#/devices")
    expect(page.locator("ul[aria-busy=true] li").first).to_be_visible()
    yield "a list that loads"
    release()
    expect(page.locator("ul[aria-busy=true]")).to_have_count(0)


def _with_errors(page: Page) -> Iterator[str]:
    page.goto("/#/devices")
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    yield "a dialog"
    page.keyboard.press("Escape")
    page.goto("/#/activity")
    page.get_by_role("button", name="Go offline").click()
    expect(_banner(page)).to_contain_text("Reconnecting…")
    yield "no network"
    page.goto("/#/notes")
    expect(page.get_by_role("button", name="Try again").first).to_be_visible()
    yield "an error in a view"
    page.goto("/#/activity")
    page.get_by_role("button", name="Come back online").click()
    expect(_banner(page)).to_have_text("Connected again.")
    page.evaluate(ENDING)
    expect(_banner(page)).to_contain_text("and cannot be renewed")
    yield "a session that ends soon"


def _banner(page: Page) -> Locator:
    return page.locator("#session-banner").get_by_role("status")


def _fill(page: Page, path: str) -> None:
    """Make the view show all that it can."""
    if path == "notes":
        _add_unsent_notes(page)
    elif path == "activity":
        for summary in page.locator("summary").all():
            summary.click()
        page.get_by_role("button", name="Burst of 20 requests").click()
        expect(page.get_by_text("20 times 200")).to_be_visible()
        expect(page.get_by_role("row", name="retry").first).to_be_visible()
    elif path == "devices":
        expect(page.get_by_text("this device")).to_be_visible()
    elif path == "password":
        _send_what_is_refused(page)
    elif path == "secret-key":
        page.get_by_label("Check an existing secret").fill("changeme")


def _add_unsent_notes(page: Page) -> None:
    """Add one note that is refused, and one that stays pending."""
    for respond, text in ((refuse, "Not sent"), (cut, "Waiting for the network…")):
        page.route(NOTES, cut)
        page.get_by_role("textbox", name="New note").fill(f"a note {uuid4()}")
        page.get_by_role("button", name="Add note").click()
        expect(page.get_by_text("Waiting for the network…")).to_be_visible()
        page.route(NOTES, respond)  # Playwright calls the newest handler.
        expect(page.get_by_text(text)).to_be_visible()


def offer_provider(route: Route) -> None:
    route.fulfill(json={**route.fetch().json(), "loginWith": "Our company"})


def cut(route: Route) -> None:
    route.abort()


def refuse(route: Route) -> None:
    route.fulfill(status=413, json={"error": "Too long for us.", "code": "TOO_LARGE"})


@pytest.fixture
def judge(page: Page, scheme: Scheme) -> Check:
    """Run axe in a colour scheme, at both ends of the page's widths."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    if not page.evaluate(f"matchMedia('(prefers-color-scheme: {scheme})').matches"):
        pytest.skip(f"This browser cannot emulate the {scheme} colour scheme.")

    def check() -> list[str]:
        page.evaluate(f"{AXE.read_text()}; null")
        found: list[str] = []
        for width in (320, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            found += [f"{width} px: {finding}" for finding in page.evaluate(FINDINGS)]
        return found

    return check


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(tour: Tour, judge: Check) -> None:
    """Names, roles, contrast and structure are correct in both colour schemes."""
    assert tour(judge) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_while_the_page_starts(
    judge: Check, page: Page, watch: Watch, fast_forward: FastForward
) -> None:
    """Not beside the progress, nor beside what is said of a slow line or a bad host."""
    release = hold(page, RUNTIME)
    page.goto("/", wait_until="commit")
    expect(page.get_by_role("progressbar")).to_be_visible()
    found = judge()
    while not page.get_by_text("Nothing has arrived for a while.").is_visible():
        fast_forward("00:11")
    found += judge()
    release()
    page.route(RUNTIME, lambda route: route.fulfill(status=404, body="Not found"))
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("does not deliver a file")
    assert found + judge() == []
    watch.forgive("Failed to", "wasm", "rror", "404", "aborted")


@pytest.mark.parametrize(("width", "text"), [(320, "100%"), (640, "200%")])
def test_no_view_scrolls_sideways(tour: Tour, page: Page, width: int, text: str) -> None:
    """Views fit 320 px and text of twice the size (WCAG 1.4.10 and 1.4.4)."""
    page.set_viewport_size({"width": width, "height": 800})

    def check() -> list[str]:
        page.evaluate("size => { document.documentElement.style.fontSize = size }", text)
        found: list[str] = page.evaluate(OVERFLOW)
        return found

    assert tour(check) == []


def test_nothing_moves_with_reduced_motion(tour: Tour, page: Page) -> None:
    """No view has a transition or an animation."""
    page.emulate_media(reduced_motion="reduce")

    def check() -> list[str]:
        found: list[str] = page.evaluate(MOVING)
        return found

    assert tour(check) == []


def test_everything_works_with_the_keyboard(person: Person, page: Page) -> None:
    """Sign in, write a note, change the view, run an experiment and sign out without a pointer."""
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


def test_a_dialog_keeps_and_returns_the_focus(person: Person, page: Page) -> None:
    """The safe button has the focus; Tab stays inside; Escape returns to the button outside."""
    person.opens("/#/devices").signs_in()
    everywhere = page.get_by_role("button", name="Sign out everywhere")
    everywhere.press("Enter")
    expect(page.get_by_role("button", name="Stay signed in")).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate(OUTSIDE) == ""
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.wait_for_function("document.activeElement.dataset.action === 'everywhere'")


def _tab_to(page: Page, text: str, *, back: bool = False) -> None:
    """Press Tab until the element with this text has the focus, which must be visible."""
    for _ in range(40):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == text:
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    pytest.fail(f"The Tab key does not reach {text!r}.")
