"""The tables: what the timeline shows, as a text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from js import document

from views.activity.descriptions import clock, clock_times
from views.activity.entries import Entry, TokenLifetime
from views.activity.source import Source
from views.ui.i18n import tr

MAX_ROWS = 600  # the newest ones


@dataclass(slots=True)
class Line:
    """What a row shows.

    Attributes:
        subject: The request, or the token's lifetime.
        stage: The stage of the subject; the texts are the same until it changes.
        texts: Returns the texts of the cells.
        name: The row's class.
    """

    subject: Entry | TokenLifetime
    stage: str
    texts: Callable[[], Iterable[str]]
    name: str = ""


class Table:
    """The rows of a table.

    Args:
        body: The element that contains them.
    """

    def __init__(self, body: Any) -> None:
        self._body = body
        self._rows: dict[int, tuple[Line, Any]] = {}

    def show(self, lines: Iterable[Line]) -> None:
        """Show these lines; make again only the rows that have changed."""
        old, self._rows = self._rows, {}
        for line in lines:
            key = id(line.subject)
            known = old.get(key)
            is_same = known is not None and known[0].stage == line.stage
            self._rows[key] = known if known and is_same else (line, _row(line))
        rows = [row for _, row in self._rows.values()]
        # Only on changes: replacing a row moves a screen reader's cursor.
        if rows != [row for _, row in old.values()]:
            self._body.replaceChildren(*rows)


class Log:
    """The tables of requests and of tokens.

    Args:
        element: The element that contains them, and can be closed.
    """

    def __init__(self, element: Any) -> None:
        self._element = element
        self._requests = Table(element.querySelector(".requests tbody"))
        self._tokens = Table(element.querySelector(".tokens tbody"))

    def update(self, source: Source) -> None:
        """Show what a source has now, unless the tables are closed."""
        if self._element.open:
            self._requests.show(_requests(source))
            self._tokens.show(_tokens(source))


def _requests(source: Source) -> Iterator[Line]:
    """Yield the requests of all tabs, the newest first."""
    sent = [(entry, tr("this tab")) for entry in source.entries]
    for track in source.others:
        sent += [(entry, tr("other tab {}", track.number)) for entry in track.entries]
    sent.sort(key=lambda one: one[0].sent_at, reverse=True)
    for entry, tab in sent[:MAX_ROWS]:
        stage = entry.outcome + entry.state
        yield Line(entry, stage, partial(_request, entry, tab, source), entry.state)


def _request(entry: Entry, tab: str, source: Source) -> Iterable[str]:
    duration = "" if entry.duration is None else f"{round(entry.duration * 1000)} ms"
    outcome = tr("{}, healed", tr(entry.outcome)) if entry.healed else tr(entry.outcome)
    time = clock(entry.sent_at, source)
    return time, tr(entry.kind), entry.call, outcome, duration, tab


def _tokens(source: Source) -> Iterator[Line]:
    """Yield the lifetimes of the tokens, the newest first."""
    now = source.now()
    for lifetime in reversed(source.lifetimes):
        state = lifetime.end_reason(now) or "valid"
        yield Line(lifetime, state, partial(_token, lifetime, state, source))


def _token(lifetime: TokenLifetime, state: str, source: Source) -> Iterable[str]:
    issued, due, end = clock_times(lifetime, source)
    return issued, due or tr("cannot be renewed"), end, tr(state)


def _row(line: Line) -> Any:
    row = document.createElement("tr")
    row.className = line.name
    for text in line.texts():
        cell = document.createElement("td")
        cell.textContent = text
        row.append(cell)
    return row
