"""Tells the story of a request: sent, refused, waited for a refresh, retried, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from views.activity.entries import Entry
from views.ui.i18n import tr, tr_plural

NOTICEABLE = 0.005  # s; a shorter wait is not worth a word


def story_of(entry: Entry, entries: Sequence[Entry], elsewhere: Sequence[Entry] = ()) -> list[str]:
    """Return the steps of a request, in order.

    Args:
        entry: The request, any retry of it, or a refresh.
        entries: All that its tab has sent.
        elsewhere: What other tabs have sent.
    """
    if entry.kind == "refresh":
        return [*_cause(entry, entries), tr("sent"), _outcome(entry), *_waiting(entry, entries)]
    return _call_story(_legs(entry, entries), entries, elsewhere)


def _legs(entry: Entry, entries: Iterable[Entry]) -> list[Entry]:
    """Return the requests of the same call."""
    if not entry.number:
        return [entry]
    return [one for one in entries if one.number == entry.number and one.kind != "refresh"]


def _call_story(
    legs: Sequence[Entry], entries: Sequence[Entry], elsewhere: Sequence[Entry]
) -> list[str]:
    steps, waits_since = [], legs[0].asked_at
    for leg in legs:
        if waits_since is not None:
            steps += _wait(leg, waits_since, entries, elsewhere)
        steps += [tr("retried") if leg.kind == "retry" else tr("sent"), _outcome(leg)]
        waits_since = leg.ended_at
    return steps


def _outcome(entry: Entry) -> str:
    if entry.duration is None:
        return tr("no response yet")
    return tr("{} after {} ms", tr(entry.outcome), round(entry.duration * 1000))


def _wait(
    leg: Entry, since: float, entries: Sequence[Entry], elsewhere: Sequence[Entry]
) -> list[str]:
    """Return what a request waited for before it was sent; nothing if it did not wait."""
    milliseconds = round((leg.sent_at - since) * 1000)
    refresh = _refresh_between(entries, since, leg.sent_at)
    if refresh is not None:
        if refresh.number == leg.number:
            return [tr("waited {} ms for the refresh that it had started", milliseconds)]
        if refresh.number:
            return [tr("waited {} ms for the refresh of another request", milliseconds)]
        return [tr("waited {} ms for a refresh that was under way", milliseconds)]
    if leg.sent_at - since < NOTICEABLE:
        return []
    if _refresh_between(elsewhere, since, leg.sent_at) is not None:
        return [tr("waited {} ms for the refresh of another tab", milliseconds)]
    return [tr("waited {} ms", milliseconds)]


def _refresh_between(entries: Iterable[Entry], start: float, end: float) -> Entry | None:
    """Return the successful refresh whose response came in this time."""
    for one in entries:
        if one.kind == "refresh" and not one.failed and start <= (one.ended_at or 0) <= end:
            return one
    return None


def _cause(refresh: Entry, entries: Iterable[Entry]) -> list[str]:
    if not refresh.number:
        return []
    calls = [one.call for one in entries if one.number == refresh.number and one is not refresh]
    return [tr("started by {}", calls[0])] if calls else []


def _waiting(refresh: Entry, entries: Sequence[Entry]) -> list[str]:
    """Return how many requests were retried with the token of a refresh."""
    if refresh.failed:
        return []
    refused = {one.number: one.ended_at for one in entries if one.kind == "request" and one.failed}
    refreshes = [one for one in entries if one.kind == "refresh"]
    waited = 0
    for one in entries:
        since = refused.get(one.number) if one.kind == "retry" else None
        if since is not None and _refresh_between(refreshes, since, one.sent_at) is refresh:
            waited += 1
    if not waited:
        return []
    return [tr_plural(waited, "1 request waited for it", "{} requests waited for it")]
