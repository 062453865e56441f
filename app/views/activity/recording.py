"""Entries and lifetimes as JSON: for other tabs, and for a file that can be attached to a report.

Only what is listed here leaves the page, in forms that have no space for a token, a password or a
text. What comes in is checked against the same forms: a file may be from anybody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, get_args

from unexpired.outside_text import loads
from views.activity.entries import End, Entry, Kind, TokenLifetime

FORMAT, VERSION = "unexpired-recording", 1
MAX_SIZE = 2_000_000  # characters
MAX_ITEMS = 2_000
MAX_TABS = 10
CALL = re.compile(r"[A-Z]{1,10} /[^\s?#]{0,200}")
OUTCOME = re.compile(r"\d{3}( [A-Z][A-Z_]{0,39})?|pending|no response|cancelled")
ENDS = (None, *get_args(End))

Clock = Callable[[float], float]


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

    def __post_init__(self) -> None:
        self.moment = self.ended_at

    @property
    def started_at(self) -> float:
        """When its first request was sent."""
        times = [one.sent_at for one in self.requests]
        times += [one.sent_at for track in self.tabs for one in track.entries]
        return min(times, default=self.ended_at)

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

    def now(self) -> float:
        """Return the moment."""
        return self.moment

    def unix(self, at: float) -> float:
        """Return a time of the entries in Unix seconds, which it is already."""
        return at

    def _sent(self, entries: Sequence[Entry]) -> list[Entry]:
        return [one for one in entries if one.sent_at <= self.moment]


def save(source: Source, facts: Mapping[str, str]) -> str:
    """Return a recording as a text.

    Args:
        source: What to record.
        facts: What else helps to understand it, such as the browser.
    """
    value = {
        "format": FORMAT,
        "version": VERSION,
        "recordedAt": round(source.unix(source.now()), 4),
        **facts,
        "requests": [pack_entry(one, source.unix) for one in source.entries],
        "tokens": [_pack_lifetime(one, source.unix) for one in source.lifetimes],
        "otherTabs": [
            [pack_entry(one, source.unix) for one in track.entries] for track in source.others
        ],
    }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def load(text: str) -> Recording:
    """Return the recording in a text.

    Raises:
        ValueError: If it is none, or not of this version.
    """
    if len(text) > MAX_SIZE:
        raise ValueError("the file is too large")
    match loads(text, finite=True):
        case {
            "format": "unexpired-recording",
            "version": 1,
            "recordedAt": int() | float() as ended_at,
            "requests": list() as requests,
            "tokens": list() as tokens,
            "otherTabs": list() as tabs,
        }:
            others = [
                Track(number, [unpack_entry(one, float) for one in _few(entries)])
                for number, entries in enumerate(tabs[:MAX_TABS], 1)
            ]
            return Recording(
                [unpack_entry(one, float) for one in _few(requests)],
                [_unpack_lifetime(one) for one in _few(tokens)],
                others,
                float(ended_at),
            )
    raise ValueError("this is no recording")


def pack_entry(entry: Entry, unix: Clock) -> dict[str, Any]:
    """Return a request as a JSON value.

    Args:
        entry: The request.
        unix: Returns its times in Unix seconds.
    """
    return {
        "kind": entry.kind,
        "call": entry.call,
        "number": entry.number,
        "askedAt": _time(entry.asked_at, unix),
        "sentAt": _time(entry.sent_at, unix),
        "duration": None if entry.duration is None else round(entry.duration, 4),
        "outcome": entry.outcome,
        "failed": entry.failed,
        "healed": entry.healed,
    }


def unpack_entry(value: Any, clock: Clock) -> Entry:
    """Return the request in a JSON value.

    Args:
        value: The value.
        clock: Returns a time in Unix seconds as a time of this page.

    Raises:
        ValueError: If it is none.
    """
    match value:
        case {
            "kind": "request" | "retry" | "refresh" as kind,
            "call": str() as call,
            "number": int() as number,
            "askedAt": int() | float() | None as asked_at,
            "sentAt": int() | float() as sent_at,
            "duration": int() | float() | None as duration,
            "outcome": str() as outcome,
            "failed": bool() as failed,
            "healed": bool() as healed,
        } if CALL.fullmatch(call) and OUTCOME.fullmatch(outcome):
            asked = None if asked_at is None else clock(asked_at)
            return Entry(
                _kind(kind), call, clock(sent_at), number, asked, duration, outcome, failed, healed
            )
    raise ValueError("this is no request")


def _kind(text: str) -> Kind:
    return next(kind for kind in get_args(Kind) if kind == text)


def _pack_lifetime(lifetime: TokenLifetime, unix: Clock) -> dict[str, Any]:
    return {
        "issuedAt": _time(lifetime.issued_at, unix),
        "refreshAt": _time(lifetime.refresh_at, unix),
        "expiresAt": _time(lifetime.expires_at, unix),
        "endedAt": _time(lifetime.ended_at, unix),
        "end": lifetime.end,
    }


def _unpack_lifetime(value: Any) -> TokenLifetime:
    match value:
        case {
            "issuedAt": int() | float() as issued_at,
            "refreshAt": int() | float() | None as refresh_at,
            "expiresAt": int() | float() as expires_at,
            "endedAt": int() | float() | None as ended_at,
            "end": None | "renewed" | "expired" | "session ended" as end,
        }:
            return TokenLifetime(issued_at, refresh_at, expires_at, ended_at, end)
    raise ValueError("this is no token's lifetime")


def _few(values: Any) -> list[Any]:
    if not isinstance(values, list):
        raise ValueError("this is no list")  # noqa: TRY004 - a mistake in the file, not in the code
    return values[-MAX_ITEMS:]


def _time(at: float | None, unix: Clock) -> float | None:
    return None if at is None else round(unix(at), 4)
