"""What a bound session costs in a page: a call and a refresh, bound and not bound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median

from playwright.sync_api import BrowserContext, Playwright, sync_playwright

from benchmarks.browser.calling import CALLS, TURNS, WARM_UP, Contenders, page_of_calls
from benchmarks.browser.hosting import available, is_ready, visitor
from benchmarks.results import Goal, Part, Row, ratio

MODES = ("refresh", "all")
"""The settings of ``DPOP``, each of a server of its own."""

BOUND, UNBOUND = "ours, Python", "ours, not bound"
"""The contenders, as the page names them."""

NAMES = {BOUND: "bound", UNBOUND: "not bound"}
REFRESHES = 3
"""In a row; one turn's figure is their mean."""

CALL_MS, REFRESH_MS = "one call, ms", "one refresh, ms"

NOTES = (
    f"""A call is GET /api/me, a refresh POST /api/refresh, on a server on the same machine, over
    plain HTTP; the figure of a round is the median of {TURNS} turns of {CALLS} calls or
    {REFRESHES} refreshes. Bound and not bound take turns in one page with one server. Over a real
    network the same overhead is added to a longer call.""",
    """Under `refresh` a call of a bound session is the same request as one of an unbound session;
    the two rows show how far apart equal things are measured. Under `all`, each call is signed in
    the page and its proof verified by the server.""",
)


class Bench(Contenders):
    """What is measured with one server."""

    def warm_up(self) -> None:
        """Sign in, and let the engine compile frequently called code."""
        for name in self.rows:
            self.sign_in(name)
            is_bound = self.page.evaluate("name => contenders[name].is_bound", name)
            assert is_bound is (name == BOUND), name  # noqa: S101 - or nothing would be compared
            self.run(name, "sample", WARM_UP)
            self.run(name, "renew", REFRESHES)

    def measure(self) -> None:
        """Make calls and refreshes, one after the other; both contenders take turns."""
        self.page.bring_to_front()
        for heading, method, count in (
            (CALL_MS, "sample", CALLS),
            (REFRESH_MS, "renew", REFRESHES),
        ):
            turns: dict[str, list[float]] = {name: [] for name in self.rows}
            for turn in range(TURNS):
                for name in list(self.rows)[:: 1 if turn % 2 else -1]:
                    turns[name].append(self.run(name, method, count))
            for name, found in turns.items():
                self.rows[name].add(**{heading: median(found)})


def measure(rounds: int, browsers: Sequence[str]) -> Part:
    """Compare bound and unbound sessions under both settings, in each installed browser."""
    rows: list[Row] = []
    goals: list[Goal] = []
    with sync_playwright() as playwright, _servers() as addresses:
        for browser in available(playwright, browsers):
            for mode, found in _measured(playwright, browser, addresses, rounds).items():
                rows += found.values()
                goals += _goals(browser, mode, found)
    return Part(
        name="dpop-page",
        title="Bound sessions in a page",
        chart=CALL_MS,
        rows=rows,
        goals=goals,
        notes=list(NOTES),
    )


@contextmanager
def _servers() -> Iterator[dict[str, str]]:
    with page_of_calls(dpop=MODES[0]) as first, page_of_calls(dpop=MODES[1]) as second:
        yield dict(zip(MODES, (first.url, second.url), strict=True))


def _measured(
    playwright: Playwright, browser: str, addresses: Mapping[str, str], rounds: int
) -> dict[str, dict[str, Row]]:
    with visitor(playwright, browser) as context:
        benches = {mode: _opened(context, browser, mode, url) for mode, url in addresses.items()}
        for number in range(rounds):
            for bench in benches.values():
                bench.measure()
            print(f"{browser}: round {number + 1} of {rounds}", flush=True)
        return {mode: bench.rows for mode, bench in benches.items()}


def _opened(context: BrowserContext, browser: str, mode: str, url: str) -> Bench:
    page = context.new_page()
    page.goto(url)
    is_ready(page)
    names = {name: f"{mode}: {shown} ({browser})" for name, shown in NAMES.items()}
    bench = Bench(page, {name: Row(shown) for name, shown in names.items()})
    bench.warm_up()
    return bench


def _goals(browser: str, mode: str, rows: Mapping[str, Row]) -> list[Goal]:
    bound, unbound = rows[BOUND], rows[UNBOUND]
    wanted = {"refresh": 1.03, "all": 1.3}[mode]
    text = f"{browser}, {mode}: a call, of one that is not bound"
    return [Goal(text, wanted, ratio(bound, unbound, CALL_MS), is_upper_bound=True)]
