"""Recordings: what is written is read again, and nothing else is."""

import json
from typing import Any

import pytest

from views.activity.entries import Entry, TokenLifetime
from views.activity.recording import Recording
from views.activity.recording_file import NoRecording, load, save
from views.activity.source import Track

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
    assert (loaded.times[0], loaded.now(), loaded.unix(7)) == (100.5, 120, 7)


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
    ("text", "sentence"),
    [
        *((text, "no recording of this page") for text in ("", "[]", "{}", "null", "no JSON")),
        ("[" * 100_000, "no recording of this page"),
        ('{"format": "unexpired-recording", "version": 2}', "another version"),
        ('{"format": "unexpired-recording"}', "another version"),
        ('{"format": "unexpired-recording", "version": 1}', "damaged"),
        (save(RECORDING, {})[:-100], "damaged"),
        (save(RECORDING, {}).replace("120", "1e999"), "damaged"),
        (save(RECORDING, {}).replace("120", "NaN"), "damaged"),
        (save(RECORDING, {}).replace("120", "[" * 100), "damaged"),
        (" " * 2_000_001, "too large"),
    ],
    ids=lambda text: text[-50:].strip(),
)
def test_another_file_is_refused_with_its_sentence(text: str, sentence: str) -> None:
    """It says that it is a recording, in a version that is known, and is whole."""
    with pytest.raises(NoRecording, match=sentence):
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
        ("requests", "sentAt", 1e300),
        ("requests", "sentAt", -1),
        ("requests", "askedAt", "<img>"),
        ("requests", "duration", -0.1),
        ("requests", "healed", 1),
        ("tokens", "end", "stolen"),
        ("tokens", "expiresAt", None),
    ],
)
def test_a_file_with_anything_else_in_it_is_refused(place: str, key: str, wrong: object) -> None:
    """It may be from anybody, and is drawn."""
    recorded = value()
    recorded[place][0][key] = wrong
    with pytest.raises(NoRecording, match="damaged"):
        load(json.dumps(recorded))


def test_requests_are_drawn_in_the_order_in_which_they_were_sent() -> None:
    """A file that was changed by hand may have another one."""
    recorded = value()
    recorded["requests"].reverse()
    assert [one.kind for one in load(json.dumps(recorded)).entries] == ["request", "refresh"]


def test_a_large_file_is_refused_or_cut() -> None:
    """Drawing it would stop the page."""
    recorded = value()
    recorded["requests"] *= 2_000
    assert len(load(json.dumps(recorded, indent=None)).entries) == 2_000
    with pytest.raises(NoRecording, match="too large"):
        load(json.dumps(recorded) + " " * 2_000_000)


def test_what_many_tabs_have_sent_can_be_read_again() -> None:
    """The newest requests are kept, as many as a file has space for."""
    tabs = [
        Track(tab, [Entry("request", "GET /" + "a" * 90, tab + n, 1, None) for n in range(600)])
        for tab in range(1, 41)
    ]
    text = save(Recording([REQUEST] * 600, [TOKEN] * 600, tabs, 2_000), {})
    loaded = load(text)
    assert len(loaded.others) == 40
    kept = [one.sent_at for track in loaded.others for one in track.entries]
    assert 2_000 <= len(kept) < 2_100
    assert min(kept) > 500


def test_a_moment_shows_what_had_happened_by_then() -> None:
    """Requests and tokens that came later are not there yet."""
    recording = load(save(RECORDING, {}))
    recording.seek(100.8)
    assert [one.call for one in recording.entries] == ["GET /api/me"]
    assert [one.issued_at for one in recording.lifetimes] == [90]
    assert [track.entries for track in recording.others] == [[]]
    assert recording.now() == 100.8
    recording.seek(89)
    assert (recording.entries, recording.lifetimes) == ([], [])


def test_a_request_is_pending_refused_and_healed_at_its_time() -> None:
    """It is healed when its retry succeeds, and a refresh by the next one that brings tokens."""
    retry = Entry("retry", "GET /api/me", 102, 3, 100.25, 0.5, "200")
    lost = Entry(
        "refresh", "POST /api/refresh", 101, 3, None, 0.5, "no response", failed=True, healed=True
    )
    renewed = Entry("refresh", "POST /api/refresh", 101.6, 3, None, 0.2, "200")
    entries = [REQUEST, lost, renewed, retry]
    recording = load(save(Recording(entries, [TOKEN], [], 120), {}))
    stories: dict[str, list[str]] = {}
    for moment in (100.6, 101.1, 101.55, 101.7, 101.9, 102.1, 120):
        recording.seek(moment)
        for one in recording.entries:
            stories.setdefault(f"{one.kind} {one.sent_at}", []).append(one.state)
    assert stories == {
        "request 100.5": ["pending", *["failed"] * 5, "healed"],
        "refresh 101.0": ["pending", "failed", "failed", "healed", "healed", "healed"],
        "refresh 101.6": ["pending", "done", "done", "done"],
        "retry 102.0": ["pending", "done"],
    }


def test_a_token_has_not_ended_before_it_did() -> None:
    """Its end is in the recording from the start."""
    (token,) = load(save(RECORDING, {})).lifetimes
    assert (token.end_time(101), token.end_reason(101)) == (None, None)
    assert (token.end_time(102), token.end_reason(102)) == (101.5, "renewed")
