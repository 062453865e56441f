"""Recordings as a text, which can be attached to a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from unexpired.outside_text import loads
from views.activity.packing import (
    pack_entry,
    pack_lifetime,
    unpack_entry,
    unpack_lifetime,
    unpack_time,
)
from views.activity.recording import Recording
from views.activity.source import Source, Track

FORMAT, VERSION = "unexpired-recording", 1
MAX_SIZE = 2_000_000  # characters
MAX_ITEMS = 2_000
MAX_TABS = 40
NO_RECORDING = "This file is no recording of this page."
DAMAGED = "This recording is damaged: a part of it is missing, or was changed."
OTHER_VERSION = "This recording was saved by another version of this page, which has its own form."
TOO_LARGE = "This file is too large for a recording. None has more than 2 MB."


class NoRecording(ValueError):  # noqa: N818 - named for what it is
    """The text is no recording; the message is a sentence for people."""


def save(source: Source, facts: Mapping[str, str]) -> str:
    """Return a recording as a text.

    Args:
        source: What to record.
        facts: What else helps to understand it, such as the browser.
    """
    others = [[*track.entries] for track in source.others]
    newest = sorted(one.sent_at for entries in others for one in entries)[-MAX_ITEMS:]
    value = {
        "format": FORMAT,
        "version": VERSION,
        "recordedAt": round(source.unix(source.now()), 4),
        **facts,
        "requests": [pack_entry(one, source.unix) for one in source.entries],
        "tokens": [pack_lifetime(one, source.unix) for one in source.lifetimes],
        "otherTabs": [
            [pack_entry(one, source.unix) for one in entries if one.sent_at >= newest[0]]
            for entries in others
        ],
    }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def load(text: str) -> Recording:
    """Return the recording in a text.

    Raises:
        NoRecording: If it is none, not of this version, or not whole.
    """
    if len(text) > MAX_SIZE:
        raise NoRecording(TOO_LARGE)
    try:
        value = loads(text, finite=True)
    except ValueError as error:
        raise NoRecording(DAMAGED if f'"{FORMAT}"' in text else NO_RECORDING) from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise NoRecording(NO_RECORDING)
    if value.get("version") != VERSION:
        raise NoRecording(OTHER_VERSION)
    try:
        return _unpack(value)
    except ValueError as error:
        raise NoRecording(DAMAGED) from error


def _unpack(value: Mapping[str, Any]) -> Recording:
    match value:
        case {
            "recordedAt": ended_at,
            "requests": list() as requests,
            "tokens": list() as tokens,
            "otherTabs": list() as tabs,
        }:
            sent = [_entries(one) for one in (requests, *tabs[:MAX_TABS])]
            return Recording(
                sent[0],
                [unpack_lifetime(one) for one in tokens[-MAX_ITEMS:]],
                [Track(number, entries) for number, entries in enumerate(sent[1:], 1)],
                unpack_time(ended_at),
            )
    raise ValueError("a part is missing")


def _entries(values: Any) -> list[Any]:
    """Return the requests of a tab, in the order in which they are drawn."""
    if not isinstance(values, list):
        raise ValueError("this is no list")  # noqa: TRY004 - a mistake in the file, not in the code
    entries = [unpack_entry(one) for one in values[-MAX_ITEMS:]]
    return sorted(entries, key=lambda one: one.sent_at)
