"""What a call costs through the client: with a good token, and a hundred with an expired one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, Playwright, sync_playwright

from benchmarks.browser.hosting import available, is_ready, serving, visitor
from benchmarks.processes import HERE, ROOT
from benchmarks.results import Goal, Part, Row, Series, ratio
from build_wheels import build_library
from tests.support.server_process import PASSWORDS, ServerProcess

PAGE = HERE / "browser" / "calls"
MODULES = HERE / "browser" / "node_modules"
PACKAGES = ("axios", "axios-auth-refresh", "ky")
# No token expires by itself during the benchmark, and neither sign-ins nor refreshes are limited.
SETTINGS: Mapping[str, float | str] = {"access_ttl": 3600, "refresh_limit": "", "sign_in_limit": ""}
USERNAME = "ada"

BARE = "fetch, Python"
PYFETCH = "pyfetch, Python"
OURS = "ours, Python"
WRONG_CLOCK = "ours, with a wrong clock"
JS_BARE = "fetch, JavaScript"
PEERS = (
    "a wrapper by hand, JavaScript",
    "axios, axios-auth-refresh",
    "axios, axios-auth-refresh, not deduplicating",
    "ky, its hook for a refresh",
)
CALLERS = (BARE, PYFETCH, OURS, JS_BARE, *PEERS)
OWN_WORK_OF = (BARE, PYFETCH, OURS)
EXPIRED_CALLERS = (BARE, OURS, WRONG_CLOCK, JS_BARE, *PEERS)

CALLS = 10
"""In a row; one turn's figure is their mean, because browsers coarsen their clocks."""
TURNS = 9
"""In a round, whose figure is their median: short, so that a busy moment affects few of them."""
AT_ONCE = 100
BURSTS = 3
"""In a round, whose figure is their median; for refreshes and lost calls it is the highest."""
WARM_UP = 50

CALL_MS = "one call, ms"
OWN_MS = "one call, answered at once, ms"
BURST_MS = f"{AT_ONCE} calls at once, expired token, ms"
REFRESHES = "refreshes for them"
LOST = "calls lost"

REFRESHES_SEEN = """async () => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return performance.getEntriesByName(new URL("/api/refresh", location)).length;
}"""

NOTES = (
    f"""A call is GET /api/me on a server on the same machine, and its JSON read; the figure of
    a round is the median of {TURNS} turns of {CALLS} calls. Over a real network the same
    overhead is added to a longer call.""",
    """A call that is answered at once has a response made in the page in place of the network's:
    what is left is the work of Python and of the browser in the page.""",
    f"""The {AT_ONCE} calls at once of a bare fetch are the minimum: one refresh, and one round of
    calls with the new token. Ours knows when its token expires; the peers, and ours with a wrong
    clock, learn it from the server, so they make every call twice.""",
    """axios-auth-refresh and ky are used as in their documentation, except that ky does not wait
    300 ms before each retry. With its defaults, axios-auth-refresh returns every 401 that arrives
    while it refreshes; without "deduplication" those calls share the refresh.""",
)


@dataclass(frozen=True)
class Burst:
    """The outcome of many calls at once.

    Attributes:
        ms: The time until the last call ended.
        lost: The number of calls without a usable response.
        refreshes: The number of refreshes meanwhile.
    """

    ms: float
    lost: int
    refreshes: int


@dataclass(frozen=True)
class Contenders:
    """The page with the contenders, in one browser.

    Attributes:
        page: The page.
        rows: The results, by contender.
    """

    page: Page
    rows: dict[str, Row]

    def run(self, name: str, method: str, *arguments: object) -> Any:
        """Call a method of a contender; return its result."""
        source = "([name, method, rest]) => contenders[name][method](...rest)"
        return self.page.evaluate(source, [name, method, arguments])

    def sign_in(self, name: str) -> None:
        """Sign a contender in."""
        self.run(name, "sign_in", USERNAME, PASSWORDS[USERNAME])


@dataclass(frozen=True)
class Bench(Contenders):
    """What is measured of them.

    Attributes:
        backend: The server that they call.
    """

    backend: ServerProcess

    def warm_up(self) -> None:
        """Let the engine compile frequently called code."""
        for name in self.rows:
            self.sign_in(name)
            self.run(name, "sample", WARM_UP)

    def call(self, names: Sequence[str]) -> None:
        """Make calls with a good token, one after the other; all take turns."""
        for name in names:
            self.sign_in(name)  # Some lost their session with the last calls.
        self._sample(names, CALL_MS)
        self.page.evaluate("answerAtOnce(true)")
        self._sample(OWN_WORK_OF, OWN_MS)
        self.page.evaluate("answerAtOnce(false)")

    def _sample(self, names: Sequence[str], column: str) -> None:
        turns: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(TURNS):
            for name in _from(turn, names):
                turns[name].append(self.run(name, "sample", CALLS))
        for name in names:
            self.rows[name].add(**{column: median(turns[name])})

    def call_expired(self, names: Sequence[str]) -> None:
        """Make many calls at once with an expired token; all take turns."""
        bursts: dict[str, list[Burst]] = {name: [] for name in names}
        for turn in range(BURSTS):
            for name in _from(turn, names):
                bursts[name].append(self._burst(name))
        for name, found in bursts.items():
            self.rows[name].add(
                **{
                    BURST_MS: median(burst.ms for burst in found),
                    REFRESHES: max(burst.refreshes for burst in found),
                    LOST: max(burst.lost for burst in found),
                }
            )

    def _burst(self, name: str) -> Burst:
        self.sign_in(name)
        if name not in {BARE, JS_BARE}:
            access = self.page.evaluate("name => contenders[name].access", name)
            self.run(name, "expire", self.backend.expired(access))
        self.page.evaluate("performance.clearResourceTimings()")
        found = self.run(name, "burst", AT_ONCE)
        return Burst(**found, refreshes=self.page.evaluate(REFRESHES_SEEN))


def measure(rounds: int, browsers: Sequence[str]) -> Part:
    """Compare ours with a bare fetch and with the peers, in each installed browser."""
    rows: list[Row] = []
    goals: list[Goal] = []
    with sync_playwright() as playwright, page_of_calls() as backend:
        for browser in available(playwright, browsers):
            found = _measured(playwright, browser, backend, rounds)
            rows += found.values()
            goals += _goals(browser, found)
    return Part(
        name="requests",
        title="A call through the client",
        chart=CALL_MS,
        rows=rows,
        goals=goals,
        notes=list(NOTES),
    )


@contextmanager
def page_of_calls(**settings: float | str) -> Iterator[ServerProcess]:
    """Serve the page with the contenders, with further settings."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "page"
        shutil.copytree(PAGE, folder)
        shutil.copytree(ROOT / "vendor", folder / "vendor")
        for package in PACKAGES:
            shutil.copytree(MODULES / package, folder / "vendor" / "npm" / package)
        build_library(folder / "vendor")
        with serving(page_dir=str(folder), **SETTINGS, **settings) as backend:
            yield backend


def _measured(
    playwright: Playwright, browser: str, backend: ServerProcess, rounds: int
) -> dict[str, Row]:
    rows = {
        name: Row(f"{name} ({browser})") for name in dict.fromkeys((*CALLERS, *EXPIRED_CALLERS))
    }
    with visitor(playwright, browser) as context:
        page = context.new_page()
        page.goto(backend.url)
        is_ready(page)
        bench = Bench(page, rows, backend)
        bench.warm_up()
        for number in range(rounds):
            bench.call(CALLERS)
            bench.call_expired(EXPIRED_CALLERS)
            print(f"{browser}: round {number + 1} of {rounds}", flush=True)
    return rows


def _from(turn: int, names: Sequence[str]) -> Sequence[str]:
    """Return the names, beginning with a different one in each turn."""
    first = turn % len(names)
    return (*names[first:], *names[:first])


def _goals(browser: str, rows: Mapping[str, Row]) -> list[Goal]:
    ours = rows[OURS]
    return [
        _bound(f"{browser}: a call, of a bare fetch", 1.05, ratio(ours, rows[BARE], CALL_MS)),
        _bound(f"{browser}: a call, of a pyfetch", 1.05, ratio(ours, rows[PYFETCH], CALL_MS)),
        _bound(
            f"{browser}: {AT_ONCE} calls, of one refresh and one round",
            1.1,
            ratio(ours, rows[BARE], BURST_MS),
        ),
        *(
            _bound(f"{browser}: {name}, {what}", bound, _worst(rows[name].numbers[what]))
            for name in (OURS, WRONG_CLOCK)
            for what, bound in ((REFRESHES, 1), (LOST, 0))
        ),
    ]


def _bound(text: str, wanted: float, series: Series) -> Goal:
    return Goal(text, wanted, series, is_upper_bound=True)


def _worst(series: Series) -> Series:
    """Return only the highest value: no round's count may exceed the bound."""
    return Series([max(series.values)])
