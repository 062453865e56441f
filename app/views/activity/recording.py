"""A recording that was loaded: at each moment it shows what was there then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from views.activity.entries import Entry, TokenLifetime
from views.activity.source import Track

NEVER = float("inf")


@dataclass(slots=True)
class Outcome:
    """What became of a request, and when.

    Attributes:
        entry: The request; it shows what had become of it by the moment.
        duration: Seconds until the response; None if none came.
        text: The outcome.
        failed: Whether it was not a success.
        ended_at: When the response came.
        healed_at: When a later one made up for it.
    """

    entry: Entry
    duration: float | None
    text: str
    failed: bool
    ended_at: float
    healed_at: float

    def show(self, moment: float) -> None:
        """Let the request be what it was at a moment."""
        has_ended = self.ended_at <= moment
        self.entry.duration = self.duration if has_ended else None
        self.entry.outcome = self.text if has_ended else "pending"
        self.entry.failed = self.failed and has_ended
        self.entry.healed = self.healed_at <= moment


@dataclass(slots=True)
class Recording:
    """A recording that was loaded; its times are Unix seconds.

    It is a ``Source`` of what was there at one moment.

    Attributes:
        requests: The requests of the tab that it was made in.
        tokens: The lifetimes of the access tokens.
        tabs: The other tabs.
        ended_at: When it was made.
        moment: The moment that is shown.
    """

    requests: list[Entry]
    tokens: list[TokenLifetime]
    tabs: list[Track]
    ended_at: float
    moment: float = field(init=False)
    is_past: bool = field(init=False, default=True)
    _outcomes: list[Outcome] = field(init=False)

    def __post_init__(self) -> None:
        self.moment = self.ended_at
        sent = [self.requests, *(track.entries for track in self.tabs)]
        self._outcomes = [outcome for entries in sent for outcome in _outcomes(entries)]

    @property
    def times(self) -> list[float]:
        """When something happened in it, up to its end."""
        times = {self.ended_at, *(one.issued_at for one in self.tokens)}
        for outcome in self._outcomes:
            times |= {outcome.entry.sent_at, outcome.ended_at, outcome.healed_at}
        first = min([self.ended_at, *(one.entry.sent_at for one in self._outcomes)])
        return sorted(time for time in times if first <= time <= self.ended_at)

    @property
    def entries(self) -> list[Entry]:
        """The requests that had been sent."""
        return self._sent(self.requests)

    @property
    def lifetimes(self) -> list[TokenLifetime]:
        """The lifetimes of the access tokens that had been issued."""
        return [one for one in self.tokens if one.issued_at <= self.moment]

    @property
    def others(self) -> list[Track]:
        """The other tabs."""
        return [Track(track.number, self._sent(track.entries)) for track in self.tabs]

    def seek(self, moment: float) -> None:
        """Show another moment."""
        self.moment = moment
        for outcome in self._outcomes:
            outcome.show(moment)

    def now(self) -> float:
        """Return the moment."""
        return self.moment

    def unix(self, at: float) -> float:
        """Return a time of the entries in Unix seconds, which it is already."""
        return at

    def _sent(self, entries: Sequence[Entry]) -> list[Entry]:
        return [one for one in entries if one.sent_at <= self.moment]


def _outcomes(entries: Sequence[Entry]) -> Iterator[Outcome]:
    """Yield what became of a tab's requests."""
    refreshed = sorted(_successes(one for one in entries if one.kind == "refresh"))
    answered = {
        one.number: one.ended_at
        for one in reversed(entries)
        if one.kind != "refresh" and one.ended_at is not None and not one.failed
    }
    for entry in entries:
        ended_at = NEVER if entry.ended_at is None else entry.ended_at
        healed_at = NEVER
        if entry.healed and entry.kind == "refresh":
            healed_at = next((time for time in refreshed if time >= ended_at), ended_at)
        elif entry.healed:
            healed_at = max(answered.get(entry.number, ended_at), ended_at)
        yield Outcome(entry, entry.duration, entry.outcome, entry.failed, ended_at, healed_at)


def _successes(entries: Iterable[Entry]) -> Iterator[float]:
    """Yield when the responses that were a success came."""
    for entry in entries:
        if entry.ended_at is not None and not entry.failed:
            yield entry.ended_at
