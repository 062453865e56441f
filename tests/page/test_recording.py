"""Recordings: what is written is read again, and nothing else is."""

import json
from typing import Any

import pytest

from views.activity.entries import Entry, TokenLifetime
from views.activity.recording import Recording, Track, load, save

REQUEST = Entry(
    "request", "GET /api/me", 100.5, 3, 100.25, 0.25, "401 TOKEN_EXPIRED", failed=True, healed=True
)
PENDING = Entry("refresh", "POST /api/refresh", 101, 3, None)
TOKEN = TokenLifetime(90, 105, 110, 101.5, "renewed")
RECORDING = Recording([REQUEST, PENDING], [TOKEN], [Track(1, [PENDING])], 120)


def fields(one: Any) -> list[Any]:
    return [getattr(one, name) for name in one.__slots__]


def value() -> dict[str, Any]:
    """Return a recording as JSON."""
    parsed: dict[str, Any] = json.loads(save(RECORDING, {"browser": "Some/1.0"}))
    return parsed


def test_a_recording_is_read_as_it_was_written() -> None:
    """Requests, tokens and the other tabs, with all that a picture of them needs."""
    loaded = load(save(RECORDING, {"browser": "Some/1.0"}))
    assert [fields(one) for one in loaded.entries] == [fields(REQUEST), fields(PENDING)]
    assert [fields(one) for one in loaded.lifetimes] == [fields(TOKEN)]
    assert [(one.number, *map(fields, one.entries)) for one in loaded.others] == [
        (1, fields(PENDING))
    ]
    assert (loaded.started_at, loaded.now(), loaded.unix(7)) == (100.5, 120, 7)


def test_a_recording_has_these_fields_and_no_others() -> None:
    """None of them has space for a secret; a new one must be thought about."""
    recorded = value()
    assert recorded.keys() == {
        *("format", "version", "recordedAt", "browser"),
        *("requests", "tokens", "otherTabs"),
    }
    assert recorded["requests"][0].keys() == {
        *("kind", "call", "number", "askedAt", "sentAt"),
        *("duration", "outcome", "failed", "healed"),
    }
    assert recorded["tokens"][0].keys() == {"issuedAt", "refreshAt", "expiresAt", "endedAt", "end"}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", "no JSON", '{"format": "unexpired-recording", "version": 2}'],
)
def test_another_file_is_refused(text: str) -> None:
    """It says that it is a recording, in a version that is known."""
    with pytest.raises(ValueError, match=r"no recording|Expecting"):
        load(text)


@pytest.mark.parametrize(
    ("place", "key", "wrong"),
    [
        ("requests", "kind", "theft"),
        ("requests", "call", "<b>GET</b> /"),
        ("requests", "call", "GET /?q=secret"),
        ("requests", "call", "GET /" + "a" * 300),
        ("requests", "outcome", "a text of anybody's"),
        ("requests", "sentAt", "now"),
        ("requests", "sentAt", float("nan")),
        ("requests", "healed", 1),
        ("tokens", "end", "stolen"),
        ("tokens", "expiresAt", None),
    ],
)
def test_a_file_with_anything_else_in_it_is_refused(place: str, key: str, wrong: object) -> None:
    """It may be from anybody, and is drawn."""
    recorded = value()
    recorded[place][0][key] = wrong
    with pytest.raises(ValueError, match=r"this is no|not finite"):
        load(json.dumps(recorded))


def test_a_large_file_is_refused_or_cut() -> None:
    """Drawing it would stop the page."""
    recorded = value()
    recorded["requests"] *= 2_000
    assert len(load(json.dumps(recorded, indent=None)).entries) == 2_000
    with pytest.raises(ValueError, match="too large"):
        load(json.dumps(recorded) + " " * 2_000_000)


def test_a_moment_shows_what_had_happened_by_then() -> None:
    """Requests and tokens that came later are not there yet."""
    recording = Recording([REQUEST, PENDING], [TOKEN], [Track(1, [PENDING])], 120)
    recording.moment = 100.7
    assert (recording.entries, recording.lifetimes, recording.now()) == ([REQUEST], [TOKEN], 100.7)
    assert [track.entries for track in recording.others] == [[]]
    recording.moment = 89
    assert (recording.entries, recording.lifetimes) == ([], [])
