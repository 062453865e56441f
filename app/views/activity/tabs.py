"""The tabs of this browser on one timeline: each tells the others what it has sent.

Messages go through a ``BroadcastChannel``, which no other origin can read, and have the form of a
recording: no token, and nothing that a person has typed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from js import setTimeout, window
from pyodide.ffi import create_proxy

from unexpired.outside_text import loads
from views.activity.entries import Entry, TokenLifetime
from views.activity.recorder import MAX_ENTRIES, Recorder
from views.activity.recording import Track, pack_entry, unpack_entry
from views.ui.dom import listen

SEND_AFTER = 100  # ms, in which the entries of a burst are collected
SHOWN_FOR = 600  # s; a tab that has sent nothing for so long is not shown
Key = tuple[int, str, float]
"""What tells an entry from the tab's others: its call, its kind, and when that tab sent it."""


class Tabs:
    """What this tab and the others have sent: a ``Source`` of the present.

    Args:
        recorder: Records the requests of this tab.
        name: The name of the channel.
    """

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._id = str(uuid4())
        self._tabs: dict[str, dict[Key, Entry]] = {}
        self._changed: dict[int, Entry] = {}
        self._js_channel = window.BroadcastChannel.new(name)
        self._send_proxy = create_proxy(self._send_changes)
        listen(self._js_channel, "message", lambda js_event: self._receive(js_event.data))
        recorder.on_change = self._note_change
        self._send(hello=True)

    @property
    def entries(self) -> Sequence[Entry]:
        """The requests of this tab, in order."""
        return self._recorder.entries

    @property
    def lifetimes(self) -> Sequence[TokenLifetime]:
        """The lifetimes of the access tokens, in order."""
        return self._recorder.lifetimes

    @property
    def others(self) -> Sequence[Track]:
        """The other tabs that have sent something lately."""
        earliest = self.now() - SHOWN_FOR
        tracks = [
            Track(number, sorted(entries.values(), key=lambda one: one.sent_at))
            for number, entries in enumerate(self._tabs.values(), 1)
        ]
        return [one for one in tracks if one.entries and one.entries[-1].sent_at > earliest]

    @property
    def count(self) -> int:
        """How many other tabs have been there."""
        return len(self._tabs)

    def now(self) -> float:
        """Return the present."""
        return self._recorder.now()

    def unix(self, at: float) -> float:
        """Return a time of the entries in Unix seconds."""
        return time.time() - self.now() + at

    # -- Messages ------------------------------------------------------------------------------

    def _note_change(self, entry: Entry) -> None:
        if not self._tabs:
            return  # Nobody listens; a tab that comes later asks for everything.
        if not self._changed:
            setTimeout(self._send_proxy, SEND_AFTER)
        self._changed[id(entry)] = entry

    def _send_changes(self) -> None:
        entries, self._changed = list(self._changed.values()), {}
        self._send(entries)

    def _send(self, entries: Sequence[Entry] = (), *, hello: bool = False) -> None:
        packed = [{**pack_entry(one, self.unix), "at": one.sent_at} for one in entries]
        message = {"tab": self._id, "hello": hello, "entries": packed}
        self._js_channel.postMessage(json.dumps(message))

    def _receive(self, data: Any) -> None:
        try:
            message = loads(data)
            tab, is_new = str(message["tab"]), bool(message["hello"])
            entries = {_key(one): unpack_entry(one, self._mine) for one in message["entries"]}
        except (ValueError, TypeError, KeyError):
            return  # Of a page of another version.
        known = self._tabs.setdefault(tab, {})
        for key, entry in entries.items():
            _put(known, key, entry)
        if is_new:
            self._send(self.entries)

    def _mine(self, unix: float) -> float:
        """Return a time in Unix seconds as a time of this tab."""
        return unix - self.unix(0)


def _key(value: Any) -> Key:
    return int(value["number"]), str(value["kind"]), float(value["at"])


def _put(known: dict[Key, Entry], key: Key, entry: Entry) -> None:
    """Add an entry, or what has become of one."""
    old = known.setdefault(key, entry)
    old.duration, old.outcome = entry.duration, entry.outcome
    old.failed, old.healed = entry.failed, entry.healed
    if len(known) > MAX_ENTRIES:
        known.pop(next(iter(known)))
