"""What a timeline shows: the present, or a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from views.activity.entries import Entry, TokenLifetime


@dataclass(slots=True)
class Track:
    """What another tab has sent.

    Attributes:
        number: Its number, from 1.
        entries: Its requests, by the time when they were sent.
    """

    number: int
    entries: Sequence[Entry]


class Source(Protocol):
    """What a timeline shows."""

    @property
    def is_past(self) -> bool:
        """Whether the right edge is another time than now."""

    @property
    def entries(self) -> Sequence[Entry]:
        """The requests of this tab, in order."""

    @property
    def lifetimes(self) -> Sequence[TokenLifetime]:
        """The lifetimes of the access tokens, in order."""

    @property
    def others(self) -> Sequence[Track]:
        """The other tabs."""

    def now(self) -> float:
        """Return the time at the right edge, in the seconds of the entries."""

    def unix(self, at: float) -> float:
        """Return a time of the entries in Unix seconds."""
