"""What the page looks like in WebKitGTK: its first screen, header, frame, paper, and to axe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver import WebKitGTK

from tests.e2e.test_access import AXE, FINDINGS, MOVING, OVERFLOW
from tests.e2e.test_looks import FAINT, HEADER, SECRETS, SHIFT_ALLOWED, WIDTHS
from tests.support import webkitgtk
from tests.support.layout_moves import LAYOUT, SAMPLE_LAYOUT, shift
from tests.support.proxy import HTTPProxy
from tests.support.server_process import ServerProcess
from tests.webkit.conftest import Browser, Launch, serving
from tests.webkit.test_start import runs_first
from tests.webkit.window import Window

GERMAN = "Object.defineProperty(navigator, 'languages', {get: () => ['de-DE', 'en']})"
# WebKitGTK's driver prints nothing: so its rules for paper are made those of the screen.
ON_PAPER = """void (() => {
    const mediaOf = (rules) => [...rules].flatMap((rule) => rule.media
        ? [rule.media, ...mediaOf(rule.cssRules)] : mediaOf(rule.cssRules ?? []));
    for (const media of [...document.styleSheets].flatMap((sheet) => mediaOf(sheet.cssRules)))
        if (media.mediaText === "print") media.mediaText = "screen";
})()"""
SCREEN_ONLY = "body > header, main button"
HIGH_CONTRAST = "[Settings]\ngtk-theme-name=HighContrast\n"
"""The theme of a desktop; WebKit tells the page that more contrast is preferred."""

NO_PYTHON = "WebAssembly.instantiateStreaming = () => new Promise(() => {})"
TRY = {"en": "Try the demo", "de": "Demo ausprobieren"}
VIEWS = ("Activity", "Devices", "Secret key", "Notes")


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The demo's server, with tokens that last."""
    with serving(tmp_path_factory.mktemp("server"), demo="true", access_ttl=900) as server:
        yield server


@pytest.fixture(scope="module", params=["light", "dark"])
def calm(
    request: pytest.FixtureRequest, launch: Launch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A browser of a person who reduces motion, in each of the colour schemes."""
    settings = tmp_path_factory.mktemp("calm")
    webkitgtk.configure(settings, still=True)
    dark = ["--dark-mode"] if request.param == "dark" else []
    with Browser(lambda: launch(*dark, settings=settings)) as browser:
        yield browser


@pytest.fixture(scope="module", params=["light", "dark"])
def stark(
    request: pytest.FixtureRequest, launch: Launch, tmp_path_factory: pytest.TempPathFactory
) -> Browser:
    """A browser of a person who asks for more contrast, in each of the colour schemes."""
    settings = tmp_path_factory.mktemp("stark")
    webkitgtk.configure(settings)
    (settings / "gtk-3.0" / "settings.ini").write_text(HIGH_CONTRAST)
    dark = ["--dark-mode"] if request.param == "dark" else []
    return Browser(lambda: launch(*dark, settings=settings))


def test_a_visitor_reads_the_claim_and_tries_the_demo(window: Window) -> None:
    """One click signs in; the header always says how things are."""
    window.opens()
    for text in ("Tokens expire.", "Signed out", "demo / demo"):
        window.shows(text)
    window.presses("Try the demo")
    window.find("h1", "Notes")
    window.shows("Signed in", "header")
    window.holds("document.getElementById('username').textContent === 'demo'")


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_header_does_not_wrap(webkit: WebKitGTK, host: HTTPProxy, language: str) -> None:
    """It is one line, or two on a narrow screen; nothing is cut off."""
    if language == "de":
        host.change("/", runs_first(GERMAN))
    window = Window(webkit, host.url).opens()
    window.presses(TRY[language])
    window.holds(f"{visible('#sign-out')} === 1")
    assert window.evaluate("document.documentElement.lang") == language
    for width in WIDTHS:
        window.resizes(width)
        window.holds(f"String(({HEADER})()) === '1,true,true'")
        assert window.evaluate(f"({OVERFLOW})()") == []


def test_the_frame_of_a_signed_in_page_is_drawn_before_python_runs(
    webkit: WebKitGTK, host: HTTPProxy
) -> None:
    """The header and the view are there, with no secret and nothing of the notes."""
    window = Window(webkit, host.url).opens().signs_in()
    window.adds("kept to myself")
    host.change("/", runs_first(NO_PYTHON))
    window.goes("/?held")
    window.shows("Notes", "#frame h1")
    window.holds("document.getElementById('username').textContent === 'ada'")
    window.find("a", "Notes")
    assert "kept to myself" not in window.text("body")
    assert window.evaluate(f"({SECRETS})()") == [False, False]
    host.clear()
    window.opens().shows("kept to myself", "ul[aria-label=Notes]")
    assert window.evaluate("document.getElementById('frame')") is None


@pytest.mark.parametrize("width", [360, 1280])
def test_no_landmark_moves(webkit: WebKitGTK, host: HTTPProxy, width: int) -> None:
    """While the page starts, and when it is loaded again by somebody who is signed in."""
    host.change("/", runs_first(SAMPLE_LAYOUT))
    window = Window(webkit, host.url).forgets()
    window.resizes(width)
    window.opens().find("button", "Try the demo")
    start = window.evaluate(LAYOUT)
    window.signs_in().adds("stays where it is")
    window.opens("/?again").shows("stays where it is", "ul[aria-label=Notes]")
    again = window.evaluate(LAYOUT)
    assert set(start["seen"]) == {"header", "main", "heading", "form", "button"}
    assert set(again["seen"]) == {"header", "main", "heading", "form"}
    assert [one for one in (start, again) if shift(one) >= SHIFT_ALLOWED] == []


def tour(window: Window) -> Iterator[str]:
    """Sign in, and yield the name of each view once it is shown with something in it."""
    window.signs_in().adds("Water the fern.")
    for view in VIEWS:
        window.views(view)
        if view == "Activity":
            window.presses("Burst of 20 requests")
            window.shows("20 times 200; 1 refresh.")
        yield view


def test_axe_finds_nothing(calm: Browser, backend: ServerProcess) -> None:
    """In no view of a narrow window; nothing is cut off, and nothing moves."""
    window = Window(calm.driver, backend.url).forgets().opens()
    window.resizes(320)
    found = problems(window)
    for view in tour(window):
        found += [f"{view}: {finding}" for finding in problems(window)]
    assert found == []


def test_more_contrast_makes_each_line_stand_out(stark: Browser, backend: ServerProcess) -> None:
    """The borders of cards, boxes and buttons, and the marks on the time line."""
    window = Window(stark.driver, backend.url).forgets().opens()
    assert window.evaluate("matchMedia('(prefers-contrast: more)').matches")
    faint = window.evaluate(f"({FAINT})()")
    for view in tour(window):
        faint += [f"{view}: {one}" for one in window.evaluate(f"({FAINT})()")]
    assert faint == []


def problems(window: Window) -> list[str]:
    """Return what axe finds, what is too wide, and what moves."""
    script = f"const done = arguments[0]; {AXE.read_text()}; ({FINDINGS})().then(done)"
    found: list[str] = window.later(script)
    return [*found, *window.evaluate(f"({OVERFLOW})()"), *window.evaluate(f"({MOVING})()")]


def test_what_is_printed_is_the_content(window: Window) -> None:
    """Neither the header nor a button is on the paper."""
    window.opens().signs_in().adds("on paper")
    assert window.evaluate(visible(SCREEN_ONLY)) > 1
    window.evaluate(ON_PAPER)
    window.shows("on paper", "ul[aria-label=Notes]")
    assert window.evaluate(visible(SCREEN_ONLY)) == 0


def visible(selector: str) -> str:
    elements = f"[...document.querySelectorAll('{selector}')]"
    return f"{elements}.filter((one) => one.getClientRects().length).length"
