"""The tabs of this browser on one timeline: each tells the others what it has sent.

Messages go through a ``BroadcastChannel``, which no other origin can read, and have the form of a
recording: no token, and nothing that a person has typed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from js import setTimeout, window
from pyodide.ffi import create_proxy

from unexpired.outside_text import loads
from views.activity.entries import Entry, TokenLifetime
from views.activity.packing import pack_entry, unpack_entry
from views.activity.recorder import MAX_ENTRIES, Recorder
from views.activity.source import Track
from views.ui.dom import listen

SEND_AFTER = 100  # ms, in which the entries of a burst are collected
SHOWN_FOR = 600  # s; a tab that has sent nothing for so long is not shown
MAX_KNOWN = 40  # tabs; then the one that was silent for longest is forgotten
MAX_MESSAGE = 500_000  # characters; all that a tab keeps has half of it
Key = tuple[int, str, float]
"""What tells an entry from the tab's others: its call, its kind, and when that tab sent it."""


@dataclass(slots=True)
class OtherTab:
    """What another tab has told.

    Attributes:
        number: Its number, from 1.
        entries: Its newest requests.
    """

    number: int
    entries: dict[Key, Entry] = field(default_factory=dict)

    def put(self, key: Key, entry: Entry) -> None:
        """Add a request, or what has become of one."""
        old = self.entries.setdefault(key, entry)
        old.duration, old.outcome = entry.duration, entry.outcome
        old.failed, old.healed = entry.failed, entry.healed
        if len(self.entries) > MAX_ENTRIES:
            self.entries.pop(next(iter(self.entries)))


class Tabs:
    """What this tab and the others have sent: a ``Source`` of the present.

    Args:
        recorder: Records the requests of this tab.
        name: The name of the channel.

    Attributes:
        count: How many other tabs have been there.
    """

    is_past = False

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._id = str(uuid4())
        self._tabs: dict[str, OtherTab] = {}  # The one that spoke last is the last.
        self.count = 0
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
            Track(tab.number, sorted(tab.entries.values(), key=lambda one: one.sent_at))
            for tab in sorted(self._tabs.values(), key=lambda one: one.number)
        ]
        return [one for one in tracks if one.entries and one.entries[-1].sent_at > earliest]

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

    def _send(self, entries: Sequence[Entry] = (), *, hello: bool = False, to: str = "") -> None:
        """Tell all other tabs, or one of them."""
        packed = [{**pack_entry(one, self.unix), "at": one.sent_at} for one in entries]
        message = {"tab": self._id, "to": to, "hello": hello, "entries": packed}
        self._js_channel.postMessage(json.dumps(message))

    def _receive(self, data: Any) -> None:
        try:
            message = loads(data if len(data) <= MAX_MESSAGE else "")
            sender, is_new, to = str(message["tab"]), bool(message["hello"]), message["to"]
            packed = message["entries"] if to in {"", self._id} else []
            entries = {_key(one): self._unpack(one) for one in packed}
        except (ValueError, TypeError, KeyError):
            return  # Of a page of another version.
        tab = self._tab_of(sender)
        for key, entry in entries.items():
            tab.put(key, entry)
        if is_new:
            self._send(self.entries, to=sender)

    def _tab_of(self, sender: str) -> OtherTab:
        """Return the tab that has sent a message; forget the one that was silent for longest."""
        tab = self._tabs.pop(sender, None)
        if tab is None:
            self.count += 1
            tab = OtherTab(self.count)
        self._tabs[sender] = tab
        if len(self._tabs) > MAX_KNOWN:
            self._tabs.pop(next(iter(self._tabs)))
        return tab

    def _unpack(self, value: Any) -> Entry:
        """Return a request in the time of this tab. None is later than now, by whichever clock."""
        entry = unpack_entry(value)
        shift = min(self.unix(self.now()) - entry.sent_at, 0) - self.unix(0)
        entry.sent_at += shift
        if entry.asked_at is not None:
            entry.asked_at += shift
        return entry


def _key(value: Any) -> Key:
    return int(value["number"]), str(value["kind"]), float(value["at"])
