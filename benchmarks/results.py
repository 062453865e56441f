"""Results: medians with their spread, goals, and how both are written to files."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.processes import HERE

RESULTS = HERE / "results"


@dataclass
class Series:
    """One number, measured once in each round.

    Attributes:
        values: One for each round, in order.
    """

    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.values)

    def shown(self) -> str:
        """Return the median, with the lowest and the highest value."""
        low, high = min(self.values), max(self.values)
        return " ".join((_number(self.median), f"({_number(low)} to {_number(high)})"))


@dataclass
class Row:
    """A competitor or a condition, and its numbers.

    Attributes:
        name: What was measured.
        numbers: Every number by its heading, which includes the unit.
    """

    name: str
    numbers: dict[str, Series] = field(default_factory=dict)

    def add(self, **numbers: float) -> None:
        """Add one round's numbers."""
        for heading, value in numbers.items():
            self.numbers.setdefault(heading, Series()).values.append(value)


@dataclass
class Goal:
    """A bound on a number, or on the ratio of two numbers of the same rounds.

    Attributes:
        text: The description.
        wanted: The bound.
        series: The measured value of each round.
        is_upper_bound: Whether lower is better.
    """

    text: str
    wanted: float
    series: Series
    is_upper_bound: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the median is within the bound."""
        found = self.series.median
        return found <= self.wanted if self.is_upper_bound else found >= self.wanted


@dataclass
class Part:
    """The results of one part.

    Attributes:
        name: The name of its files.
        title: Its heading.
        chart: The number that its picture shows.
        rows: The competitors.
        goals: The goals.
        notes: What a reader must know, and what was left out.
    """

    name: str
    title: str
    chart: str
    rows: list[Row]
    goals: list[Goal]
    notes: list[str]


def ratio(above: Row, below: Row, heading: str) -> Series:
    """Return one row's number divided by another's, for each round."""
    pairs = zip(above.numbers[heading].values, below.numbers[heading].values, strict=True)
    return Series([a / b for a, b in pairs])


def write(part: Part) -> None:
    """Write a part's table and numbers to files, and print the table."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{part.name}.md").write_text(_table(part))
    content = {**asdict(part), "machine": _machine()}
    (RESULTS / f"{part.name}.json").write_text(json.dumps(content, indent=1) + "\n")
    print(_table(part))


def _table(part: Part) -> str:
    headings = list(dict.fromkeys(name for row in part.rows for name in row.numbers))
    lines = [f"# {part.title}", "", *_lines(["", *map(_heading, headings)])]
    for row in part.rows:
        cells = [row.numbers[name].shown() if name in row.numbers else "" for name in headings]
        lines += [_line([row.name, *cells])]
    lines += [
        "",
        *_goals(part.goals),
        "",
        *(f"- {' '.join(note.split())}" for note in part.notes),
        "",
    ]
    return "\n".join([*lines, _conditions(), ""])


def _goals(goals: Sequence[Goal]) -> list[str]:
    lines = _lines(["goal", "wanted", "found", "met"])
    for goal in goals:
        bound = f"{'≤' if goal.is_upper_bound else '≥'} {_number(goal.wanted)}"
        lines.append(
            _line([goal.text, bound, goal.series.shown(), "yes" if goal.is_met else "**no**"])
        )
    return lines if goals else []


def _lines(headings: Sequence[str]) -> list[str]:
    return [_line(headings), _line(["---", *["---:"] * (len(headings) - 1)])]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(name: str) -> str:
    return HEADINGS.get(name, name)


def _conditions() -> str:
    machine = _machine()
    return (
        f"Medians of several rounds, with the lowest and the highest; {machine['cores']} cores, "
        f"{machine['processor']}, Python {machine['python']}, load before the end "
        f"{machine['load']}, {machine['date']}."
    )


def _machine() -> dict[str, str]:
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": str(os.cpu_count()),
        "processor": model[0] if model else platform.machine(),
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


HEADINGS = {
    "rate": "requests/s",
    "per_core": "requests per processor-second",
    "median_ms": "median, ms",
    "p99_ms": "99th percentile, ms",
    "memory": "memory, MiB",
    "logins": "logins/s meanwhile",
    "sweep_seconds": "sweep took, s",
    "microseconds": "a token, µs",
    "primitive": "its bare signature, µs",
}
"""Headings in the tables, where they differ from the names of the numbers."""
