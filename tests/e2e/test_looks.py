"""What the page looks like: its frame, its header, and what must not move or be cut off."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.faults import hold
from tests.e2e.person import Person
from tests.e2e.test_access import ENDING, VIEWS
from tests.e2e.test_language import prefer
from tests.support.layout_moves import LAYOUT, SAMPLE_LAYOUT, shift

RUNTIME = "**/pyodide.asm.wasm"
SHIFT_ALLOWED = 0.05
WIDTHS = [320, 360, 480, 640, 768, 959, 960, 1280, 2560]
# Recorded from the page's start on, for that is when things move.
RECORD_SHIFTS = """
globalThis.shifts = [];
new PerformanceObserver((list) => {
    for (const { value, hadRecentInput } of list.getEntries())
        if (!hadRecentInput) shifts.push(value);
}).observe({ type: "layout-shift", buffered: true });
"""
SECRETS = """() => {
    const { accessToken, refreshToken } = JSON.parse(localStorage.getItem("unexpired"));
    const markup = document.documentElement.outerHTML;
    return [accessToken, refreshToken].map((secret) => markup.includes(secret));
}"""
HEADER = """() => {
    const top = (element) => element.getBoundingClientRect().top;
    const shown = (selector) => [...document.querySelectorAll(selector)].filter(
        (element) => element.getClientRects().length);
    const links = shown("header nav a");
    const first = shown(".brand, #session, .account");
    const lines = new Set(links.map((link) => Math.round(top(link))));
    const { height } = document.querySelector("header > div").getBoundingClientRect();
    const right = Math.max(...first.map((element) => element.getBoundingClientRect().right));
    return [lines.size, height <= 92, right <= document.documentElement.clientWidth];
}"""
OVERLAPS = """() => {
    const [brand, session, account] = [".brand", "#session", ".account"].map(
        (selector) => document.querySelector(selector).getBoundingClientRect());
    return session.left < brand.right || account.left < session.right;
}"""
# What a judge of pages, such as Lighthouse, asks of each view.
FACTS = """() => ({
    mode: document.compatMode,
    title: document.title,
    headings: [...document.querySelectorAll("h1")].filter((one) => one.checkVisibility()).length,
    small: [...document.querySelectorAll("a:not(.skip), button, summary, textarea, main input")]
        .filter((one) => one.checkVisibility() && !one.matches("[type=radio], [type=checkbox]"))
        .filter((one) => one.getBoundingClientRect().height < 24)
        .map((one) => one.textContent.trim()),
    unsized: document.querySelectorAll(":is(img, video, iframe):not([width][height])").length,
})"""
# The borders and marks that stand out from what is behind them by less than 3 : 1, which is what
# WCAG 2.2 asks for in 1.4.11. A border that is not drawn, or that has no colour, is none.
FAINT = """() => {
    const CONTRAST = 3;
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const isClear = (colour) => channels(colour)[3] === 0;
    const linear = (value) => value <= 10 ? value / 3294 : ((value / 255 + 0.055) / 1.055) ** 2.4;
    const luminance = (colour) => {
        const [red, green, blue] = channels(colour).map(linear);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const contrast = (one, other) => {
        const [light, dark] = [one, other].map(luminance).sort((a, b) => b - a);
        return (light + 0.05) / (dark + 0.05);
    };
    const behind = (element) => {
        for (let one = element.parentElement; one; one = one.parentElement)
            if (!isClear(getComputedStyle(one).backgroundColor))
                return getComputedStyle(one).backgroundColor;
        return "rgb(255, 255, 255)";
    };
    const borders = (element) => {
        const style = getComputedStyle(element);
        return ["Top", "Right", "Bottom", "Left"]
            .filter((side) => parseFloat(style[`border${side}Width`]) > 0)
            .map((side) => style[`border${side}Color`]);
    };
    const marks = (element) => {
        if (!element.matches(".timeline :is(.mark, .lifetime)")) return [];
        const { fill, stroke } = getComputedStyle(element);
        return [[stroke, fill].find((one) => one !== "none" && !isClear(one)) ?? "none"];
    };
    return [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility())
        .flatMap((one) => [...borders(one), ...marks(one)].map((colour) => [one, colour]))
        .filter(([one, colour]) => !isClear(colour) && contrast(colour, behind(one)) < CONTRAST)
        .map(([one, colour]) => `${one.cloneNode(false).outerHTML}: ${colour} on ${behind(one)}`);
}"""
QUIET = "PyScript Ready"
HEAVY = {"image", "font", "media"}
HIDDEN_LINES = """() => {
    const line = document.getElementById("secret-line");
    return line.scrollHeight - line.clientHeight;
}"""

# What holds on paper holds on the screen from then on.
PRINT = """() => {
    for (const { media } of [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]))
        if (media?.mediaText === "print") media.mediaText = "all";
}"""


@pytest.fixture
def settings() -> dict[str, float | str]:
    """The demo's server, with tokens that last."""
    return {"demo": "true", "access_ttl": 900, "leeway": 60}


def test_a_reload_shows_the_frame_of_the_page_at_once(person: Person, page: Page) -> None:
    """Header, name and heading are there before Python is, and no secret is in the markup."""
    person.opens("/#/devices").signs_in()
    expect(page.get_by_text("this device")).to_be_visible()
    release = hold(page, RUNTIME)
    page.reload()
    frame = page.locator("#frame")
    expect(frame.locator("h1")).to_have_text("Devices")
    expect(frame).to_have_attribute("aria-hidden", "true")
    expect(page.get_by_role("link", name="Devices")).to_have_attribute("aria-current", "page")
    expect(page.locator("#username")).to_have_text("ada")
    expect(person.sign_in_button).to_be_hidden()
    assert page.evaluate(SECRETS) == [False, False]
    release()
    person.waits_until_ready()
    expect(person.heading("Devices")).to_be_visible()
    expect(frame).to_have_count(0)


def test_a_view_for_everybody_has_a_frame_without_a_session(person: Person, page: Page) -> None:
    """The sign-in form is not shown first."""
    release = hold(page, RUNTIME)
    page.goto("/#/secret-key")
    expect(page.locator("#frame h1")).to_have_text("Secret key")
    expect(person.sign_in_button).to_be_hidden()
    release()
    person.waits_until_ready()
    expect(person.heading("Secret key")).to_be_visible()


def test_a_record_that_cannot_be_read_has_a_frame_too(person: Person, page: Page) -> None:
    """Python decides what it is worth."""
    page.goto("/healthz")
    page.evaluate("localStorage.setItem('unexpired', '{')")
    person.opens().is_at_sign_in()
    expect(page.locator("#frame")).to_have_count(0)


@pytest.mark.only_browser("chromium")  # Others do not report it.
@pytest.mark.parametrize("width", [360, 1280])
def test_almost_nothing_moves(person: Person, page: Page, width: int) -> None:
    """While the page starts, at the sign-in, and at a reload of each view."""
    page.add_init_script(RECORD_SHIFTS)
    page.set_viewport_size({"width": width, "height": 740})
    person.opens()
    expect(page.get_by_role("button", name="Try the demo")).to_be_visible()
    person.signs_in().is_at_notes()
    moved = {"sign-in": sum(page.evaluate("shifts"))}
    for path in ("notes", "activity", "devices", "password", "secret-key"):
        page.goto(f"/#/{path}")
        page.reload()
        person.waits_until_ready()
        page.wait_for_load_state("networkidle")
        moved[path] = sum(page.evaluate("shifts"))
    assert {path: value for path, value in moved.items() if value >= SHIFT_ALLOWED} == {}


@pytest.mark.skip_browser("chromium")  # It reports what moves itself.
@pytest.mark.parametrize("width", [360, 1280])
def test_no_landmark_moves(person: Person, page: Page, width: int) -> None:
    """While the page starts, and at a reload of each view."""
    page.add_init_script(SAMPLE_LAYOUT)
    page.set_viewport_size({"width": width, "height": 740})
    person.opens()
    expect(page.get_by_role("button", name="Try the demo")).to_be_visible()
    layouts = {"sign-in": page.evaluate(LAYOUT)}
    person.signs_in().is_at_notes()
    for path in VIEWS:
        page.goto(f"/#/{path}")
        page.reload()
        person.waits_until_ready()
        page.wait_for_load_state("networkidle")
        layouts[path] = page.evaluate(LAYOUT)
    assert {"header", "main", "heading", "form", "button"} == set(layouts["sign-in"]["seen"])
    assert {path: one for path, one in layouts.items() if shift(one) >= SHIFT_ALLOWED} == {}


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_header_does_not_wrap(person: Person, page: Page, language: str) -> None:
    """It is one line, or two on a narrow screen; nothing in it is cut off, or covers the rest."""
    prefer(page, [language])
    person.opens()
    page.locator("form [name=username]").fill("ada")
    page.locator("form [name=password]").fill("correct horse battery")
    page.locator("#sign-in [type=submit]").click()
    expect(page.locator("#sign-out")).to_be_visible()
    _check_header(page)
    page.evaluate(ENDING)  # Then it has the longest texts.
    expect(page.locator("#session-banner button")).to_be_visible()
    _check_header(page)


def _check_header(page: Page) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(HEADER) == [1, True, True], width
        assert not page.evaluate(OVERLAPS), width


def test_every_view_is_what_a_judge_asks_for(writer: Person, page: Page) -> None:
    """A title of its own, one heading, a description; nothing is said in the console."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    requested: set[str] = set()
    page.on("request", lambda request: requested.add(request.resource_type))
    page.reload()
    writer.waits_until_ready().is_at_notes()
    for path, heading in VIEWS.items():
        page.goto(f"/#/{path}")
        expect(writer.heading(heading)).to_be_visible()
        title = f"{heading} · Unexpired"
        facts = {"mode": "CSS1Compat", "title": title, "headings": 1, "small": [], "unsized": 0}
        assert page.evaluate(FACTS) == facts
    description = page.locator("meta[name=description]").get_attribute("content") or ""
    assert 30 < len(description) < 160
    assert [text for text in said if QUIET not in text] == []
    assert not requested & HEAVY  # So nothing is left out for people who ask for less data.


@pytest.mark.only_browser("chromium")  # Others cannot emulate it.
def test_forced_colours_leave_nothing_without_a_line(writer: Person) -> None:
    """Where the system's colours replace ours, the view and the picture stand out."""
    page = writer.page
    page.emulate_media(forced_colors="active")
    page.goto("/#/activity")
    link = page.get_by_role("link", name="Activity")
    expect(link).to_have_css("outline-style", "solid")
    expect(page.get_by_role("link", name="Devices")).to_have_css("outline-style", "none")
    text = page.locator(".timeline text").first
    colour = page.locator("body").evaluate("body => getComputedStyle(body).color")
    expect(text).to_have_css("fill", colour)


@pytest.mark.only_browser("chromium")  # Firefox's driver cannot emulate it.
def test_more_contrast_makes_each_line_stand_out(writer: Person) -> None:
    """The borders of cards, boxes and buttons, and the marks on the time line."""
    page = writer.page
    page.emulate_media(contrast="more", reduced_motion="reduce")
    faint = page.evaluate(FAINT)
    page.goto("/#/activity")
    page.get_by_role("button", name="Burst of 20 requests").click()
    expect(page.get_by_text("20 times 200; 1 refresh.")).to_be_visible()
    assert faint + page.evaluate(FAINT) == []


def test_the_secret_key_is_shown_whole(person: Person, page: Page) -> None:
    """On a phone, too, and after it was turned."""
    page.set_viewport_size({"width": 320, "height": 640})
    person.opens("/#/secret-key")
    page.get_by_label("512 bits").check()
    page.get_by_label("hex").check()
    assert page.evaluate(HIDDEN_LINES) <= 0
    page.set_viewport_size({"width": 640, "height": 320})
    page.wait_for_function(f"({HIDDEN_LINES})() <= 0")


def test_a_link_skips_the_header(person: Person, page: Page) -> None:
    """It is the first that the Tab key reaches, and does not change the view."""
    person.opens("/#/secret-key")
    page.evaluate("document.activeElement.blur()")
    link = page.get_by_role("link", name="Skip to content")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#view")).to_be_focused()
    expect(page).to_have_url(re.compile("#/secret-key$"))


def test_a_demonstration_signs_in_with_one_click(person: Person, page: Page) -> None:
    """Only where the server says that it is one."""
    person.opens()
    expect(page.get_by_text("This server is a demonstration: demo / demo")).to_be_visible()
    page.get_by_role("button", name="Try the demo").click()
    person.is_at_notes()
    expect(page.locator("#username")).to_have_text("demo")


@pytest.mark.parametrize("settings", [{}])
def test_another_server_offers_no_demonstration(person: Person, page: Page) -> None:
    """The button is not there."""
    with page.expect_response("**/api/features"):
        person.opens()
    expect(page.get_by_role("button", name="Try the demo")).to_be_hidden()


def test_what_is_printed_is_the_content(writer: Person, page: Page) -> None:
    """Neither the header nor a button is on the paper."""
    writer.adds("on paper")
    page.emulate_media(media="print")
    if not page.evaluate("matchMedia('print').matches"):
        page.evaluate(PRINT)  # Firefox's driver has no paper.
    expect(writer.note("on paper").first).to_be_visible()
    expect(page.locator("body > header")).to_be_hidden()
    expect(writer.add_button).to_be_hidden()
