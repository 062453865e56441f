"""Loading the page, ours and on stock PyScript: the first visit and the second."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from playwright.sync_api import BrowserContext, Playwright, sync_playwright

from benchmarks.browser import stock, webkit
from benchmarks.browser.hosting import available, is_ready, serving, visitor
from benchmarks.processes import HERE, ROOT
from benchmarks.results import Goal, Part, Row, Series, ratio
from unexpired_kit import site

TIMING = (HERE / "browser" / "timing.js").read_text("utf-8")
TRANSFERS = """() => {
    const kinds = ["navigation", "resource"];
    const entries = kinds.flatMap((kind) => performance.getEntriesByType(kind));
    return {
        moved: entries.reduce((total, entry) => total + entry.transferSize, 0),
        requests: entries.filter((entry) => entry.transferSize > 0).length,
    };
}"""
KIB = 1024

STOCK, STOCK_HINTS, STOCK_DEVELOPMENT = "stock", "stock, with hints", "stock, in development"
OURS, OURS_DEVELOPMENT = "ours, make site", "ours, in development"
Builder = Callable[[Path], None]
BUILT: Mapping[str, Builder] = {
    STOCK: partial(stock.build, is_lasting=True, has_hints=False),
    STOCK_HINTS: partial(stock.build, is_lasting=True, has_hints=True),
    OURS: lambda target: site.build(ROOT, target, ""),
    STOCK_DEVELOPMENT: partial(stock.build, is_lasting=False, has_hints=False),
}

SLOW = {"offline": False, "latency": 50, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
"""A line of 50 kB/s, for the tools of Chromium."""
FIRST_PICTURE = """() => new Promise((resolve) => {
    const found = (list) => list.getEntriesByName("first-contentful-paint").forEach(resolve);
    new PerformanceObserver(found).observe({ type: "paint", buffered: true });
}).then((paint) => paint.startTime)"""

VISITS = FIRST, SECOND = "first visit", "second visit"
STAY_MS = 3000
"""How long a page stays open: an engine keeps what it compiled only after two quiet seconds."""

PICTURE_S = "first picture at 50 kB/s, s"
READY_S, FORM_S, STILL_S, MOVED, REQUESTS = (
    *("{}, s", "form can be typed in, {}, s", "longest standstill, {}, s"),
    *("moved, {}, KiB", "requests, {}"),
)

NOTES = (
    """The time is from the start of the navigation until the page says that Python runs, in a
    browser that has just started with an empty profile on disk; the second visit is a new tab of
    the same browser. A visit goes on for three seconds, as engines keep what they compiled only
    then; those seconds are not counted. The form can be typed in once it is drawn; the longest
    standstill is between two frames from then until Python runs.""",
    """Stock is the same markup, application and packages from the same host, started by PyScript
    itself. It may be cached as long as what `make site` builds may; in development both are asked
    about again at each visit. Hints are the links in the page's head that ask for PyScript's heavy
    parts ahead; ours has them.""",
    """What is moved and the requests are the browser's own count (transferSize); Firefox counts the
    whole size of a file that was only asked about. In WebKitGTK only the start is measured, and a
    visit ends with it.""",
)


def measure(rounds: int, browsers: Sequence[str]) -> Part:
    """Compare ourselves with stock PyScript, in each browser that there is."""
    rows: list[Row] = []
    goals: list[Goal] = []
    with ExitStack() as stack, sync_playwright() as playwright:
        addresses = _serve_all(stack)
        for browser in available(playwright, browsers):
            found = _measured(playwright, browser, addresses, rounds)
            rows += found.values()
            goals += _goals(browser, found)
        if webkit.NAME in browsers and webkit.is_available():
            found = _measured_in_webkit(addresses, rounds)
            rows += found.values()
            goals += _starts(webkit.NAME, found)
    return Part(
        name="loading",
        title="Loading the page",
        chart=READY_S.format(SECOND),
        rows=rows,
        goals=goals,
        notes=list(NOTES),
    )


def _serve_all(stack: ExitStack) -> dict[str, str]:
    """Build and serve each variant; return their addresses by name."""
    addresses = {}
    for name, build in BUILT.items():
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "page"
        build(folder)
        addresses[name] = stack.enter_context(serving(page_dir=str(folder))).url
    # As `make run` serves it: from the clone.
    addresses[OURS_DEVELOPMENT] = stack.enter_context(serving()).url
    return addresses


def _measured(
    playwright: Playwright, browser: str, addresses: Mapping[str, str], rounds: int
) -> dict[str, Row]:
    """Visit each variant in each round, in an order that rotates by one each time."""
    rows = {name: Row(f"{name} ({browser})") for name in addresses}
    for turn in range(rounds):
        for name in _turned([*addresses], turn):
            with visitor(playwright, browser) as context:
                rows[name].add(**_visited(context, addresses[name]))
            if browser == "chromium":
                with visitor(playwright, browser) as context:
                    rows[name].add(**_drawn_slowly(context, addresses[name]))
        print(f"{browser}: round {turn + 1} of {rounds}", flush=True)
    return rows


def _measured_in_webkit(addresses: Mapping[str, str], rounds: int) -> dict[str, Row]:
    """Visit each variant in each round, and see when Python runs."""
    rows = {name: Row(f"{name} ({webkit.NAME})") for name in addresses}
    for turn in range(rounds):
        for name in _turned([*addresses], turn):
            times = webkit.ready_times(addresses[name], len(VISITS))
            headings = map(READY_S.format, VISITS)
            rows[name].add(**dict(zip(headings, times, strict=True)))
        print(f"{webkit.NAME}: round {turn + 1} of {rounds}", flush=True)
    return rows


def _turned(names: list[str], turn: int) -> list[str]:
    first = turn % len(names)
    return [*names[first:], *names[:first]]


def _visited(context: BrowserContext, address: str) -> dict[str, float]:
    """Visit the page twice."""
    # Let the browser start up before the first visit.
    context.new_page().goto(f"{address}/healthz")
    return {
        heading.format(visit): value
        for visit in VISITS
        for heading, value in _visit(context, address).items()
    }


def _drawn_slowly(context: BrowserContext, address: str) -> dict[str, float]:
    """Open the page on a slow line, and leave it once something is drawn."""
    page = context.new_page()
    tools = context.new_cdp_session(page)
    tools.send("Network.enable")
    tools.send("Network.emulateNetworkConditions", SLOW)
    page.goto(address, wait_until="commit")
    return {PICTURE_S: page.evaluate(FIRST_PICTURE) / 1000}


def _visit(context: BrowserContext, address: str) -> dict[str, float]:
    """Open the page in a new tab, and close it."""
    page = context.new_page()
    page.add_init_script(TIMING)
    page.goto(address, wait_until="commit")
    is_ready(page)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(STAY_MS)
    times, transfers = page.evaluate("loadingTimes"), page.evaluate(TRANSFERS)
    page.close()
    return {
        READY_S: times["ready"] / 1000,
        FORM_S: times["typable"] / 1000,
        STILL_S: times["stall"] / 1000,
        MOVED: transfers["moved"] / KIB,
        REQUESTS: transfers["requests"],
    }


def _goals(browser: str, rows: Mapping[str, Row]) -> list[Goal]:
    return [
        *_starts(browser, rows),
        *(
            Goal(f"{browser}: {heading}", 0.2, rows[OURS].numbers[heading], is_upper_bound=True)
            for heading in map(FORM_S.format, VISITS)
        ),
        _bytes_goal(browser, rows),
        *(
            Goal(f"{browser}: {heading}", 1, series, is_upper_bound=True)
            for heading, series in rows[OURS].numbers.items()
            if heading == PICTURE_S
        ),
    ]


def _starts(browser: str, rows: Mapping[str, Row]) -> list[Goal]:
    bounds = {FIRST: 0.3, SECOND: 0.28} if browser == "chromium" else dict.fromkeys(VISITS, 1.0)
    pairs = ((OURS, STOCK_HINTS), (OURS_DEVELOPMENT, STOCK_DEVELOPMENT))
    return [
        *(_goal(browser, rows, (OURS, STOCK), visit, bounds[visit]) for visit in VISITS),
        *(_goal(browser, rows, pair, visit, 1) for pair in pairs for visit in VISITS),
    ]


def _goal(
    browser: str, rows: Mapping[str, Row], pair: tuple[str, str], visit: str, bound: float
) -> Goal:
    ours, other = pair
    found: Series = ratio(rows[ours], rows[other], READY_S.format(visit))
    return Goal(f"{browser}: {visit}, {ours}, of {other}", bound, found, is_upper_bound=True)


def _bytes_goal(browser: str, rows: Mapping[str, Row]) -> Goal:
    found: Series = ratio(rows[OURS], rows[STOCK], MOVED.format(FIRST))
    return Goal(f"{browser}: {FIRST}, moved, of {STOCK}", 0.5, found, is_upper_bound=True)
