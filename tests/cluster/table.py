"""The table: one line a row, for a terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tests.cluster.ledger import Outcome
from tests.cluster.scene import Result


def _recovery(result: Result) -> str:
    return "never" if result.recovery is None else f"{result.recovery:.1f}"


def _gone(result: Result) -> str:
    sign_ins, sign_outs = result.ledger.gone
    return f"{sign_ins} in, {sign_outs} out" if sign_ins or sign_outs else ""


def _count(outcome: Outcome) -> Callable[[Result], str]:
    return lambda result: str(result.ledger.outcomes[outcome])


COLUMNS: tuple[tuple[str, Callable[[Result], str]], ...] = (
    ("what happens", lambda result: result.row.title),
    ("database", lambda result: result.way),
    ("requests", lambda result: str(result.ledger.outcomes.total())),
    ("503, Retry-After", _count(Outcome.UNAVAILABLE)),
    ("502, 504", _count(Outcome.GATEWAY)),
    ("reset, time-out", _count(Outcome.BROKEN)),
    ("429", _count(Outcome.LIMITED)),
    ("other", _count(Outcome.OTHER)),
    ("sessions lost", lambda result: str(len(result.ledger.lost))),
    ("ends checked", lambda result: str(result.endings)),
    ("alive after", lambda result: str(len(result.ledger.alive))),
    ("gone with the data", _gone),
    ("recovers in s", _recovery),
    ("no refresh for s", lambda result: f"{result.ledger.longest_gap():.1f}"),
)


def markdown(results: Sequence[Result]) -> str:
    """Return the table in Markdown."""
    lines = [_line(name for name, _ in COLUMNS), _line("---" for _ in COLUMNS)]
    lines += [_line(cell(result) for _, cell in COLUMNS) for result in results]
    return "\n".join(lines) + "\n"


def text(results: Sequence[Result]) -> str:
    """Return the table in aligned columns."""
    rows = [[name for name, _ in COLUMNS]]
    rows += [[cell(result) for _, cell in COLUMNS] for result in results]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def remarks(result: Result) -> list[str]:
    """Return what no column holds: notes, what was broken, and the first of each fault."""
    ledger = result.ledger
    counted = [f"{count} times {what}" for what, count in ledger.others.most_common(4)]
    lost = [f"lost: {loss.reason}" for loss in ledger.lost[:4]]
    alive = [f"alive: {one.what}" for one in ledger.alive[:4]]
    return [*result.notes, *result.broken, *counted, *lost, *alive]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
