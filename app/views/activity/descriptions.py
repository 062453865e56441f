"""Describes requests and the lifetimes of tokens in a sentence each."""

from __future__ import annotations

from views.activity.entries import Entry, TokenLifetime
from views.activity.source import Source
from views.ui.datetimes import clock_time
from views.ui.i18n import tr


def describe_entry(entry: Entry) -> str:
    """Return a description of a request and its outcome."""
    kind, outcome = tr(entry.kind).capitalize(), tr(entry.outcome)
    if entry.duration is None:
        return tr("{}: {}, {}", kind, entry.call, outcome)
    text = tr("{}: {}, {} after {} ms", kind, entry.call, outcome, round(entry.duration * 1000))
    return tr("{}, healed", text) if entry.healed else text


def describe_lifetime(lifetime: TokenLifetime, source: Source) -> str:
    """Return a description of a token's lifetime: its times, and why it ended."""
    issued, due, ended = clock_times(lifetime, source)
    reason = lifetime.end_reason(source.now())
    refresh = tr("refresh due {}", due) if due else tr("cannot be renewed")
    end = tr("ended {}, {}", ended, tr(reason)) if reason else tr("expires {}", ended)
    return tr("Token: issued {}, {}, {}", issued, refresh, end)


def clock_times(lifetime: TokenLifetime, source: Source) -> tuple[str, str, str]:
    """Return when it was issued, when its refresh is due ("" for never), and when it ends."""
    due = "" if lifetime.refresh_at is None else clock(lifetime.refresh_at, source)
    end = lifetime.end_time(source.now()) or lifetime.expires_at
    return clock(lifetime.issued_at, source), due, clock(end, source)


def clock(at: float, source: Source) -> str:
    """Return a time of a source as the time of day."""
    return clock_time(source.unix(at) * 1000)
