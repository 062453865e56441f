"""Stores notes that could not be sent yet, on the device and per user.

Each note has a storage key of its own, so two tabs that add notes at the same time do not overwrite
each other's: ``localStorage`` has no transactions.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from urllib.parse import quote

import js

from unexpired.outside_text import loads
from views.ui.storage import STORAGE_ERRORS


@dataclass(frozen=True, slots=True)
class PendingNote:
    """A note that could not be sent yet.

    Attributes:
        text: The text.
        key: The ``Idempotency-Key`` of every attempt to send it.
        at: Its position in the queue, in Unix milliseconds.
        refusal: Why the server refused it; empty while it may be sent.
    """

    text: str
    key: str
    at: int
    refusal: str = ""

    @property
    def name(self) -> str:
        """The end of its storage key; names sort in the order of the queue."""
        return f"{self.at:015}{self.key}"


class PendingNotes:
    """The pending notes of each user, in ``localStorage``.

    Args:
        storage_key: The session's storage key, which prefixes the names of the notes.
    """

    def __init__(self, storage_key: str) -> None:
        self._storage_key = storage_key

    def prefix(self, user_id: str) -> str:
        """Return the start of the storage keys of all the user's notes."""
        # Quoted and ended by a slash, so that no user's prefix is the start of another's.
        return f"{self._storage_key}.waiting.{quote(user_id, safe='')}/"

    def load(self, user_id: str) -> list[PendingNote]:
        """Return the user's notes, in the order of the queue."""
        prefix = self.prefix(user_id)
        try:
            names = sorted(n for n in js.Object.keys(js.localStorage) if n.startswith(prefix))
            stored = [js.localStorage.getItem(name) for name in names]
        except STORAGE_ERRORS:
            return []
        return [note for note in map(_parse, stored) if note]

    def save(self, user_id: str, note: PendingNote) -> bool:
        """Store a note; return whether that worked."""
        try:
            js.localStorage.setItem(self.prefix(user_id) + note.name, json.dumps(asdict(note)))
        except STORAGE_ERRORS:
            return False
        return True

    def delete(self, user_id: str, note: PendingNote) -> None:
        """Delete a note."""
        try:
            js.localStorage.removeItem(self.prefix(user_id) + note.name)
        except STORAGE_ERRORS:
            return


def _parse(stored: object) -> PendingNote | None:
    if not isinstance(stored, str):
        return None  # Another tab has deleted it meanwhile.
    try:
        return PendingNote(**loads(stored))
    except (ValueError, TypeError):
        return None  # Written by another program.
