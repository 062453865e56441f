"""Stores notes that could not be sent yet, on the device and per user."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from views.notes.changes import Change
from views.notes.user_records import UserRecords


@dataclass(frozen=True, slots=True)
class PendingNote:
    """A note that could not be sent yet.

    Attributes:
        text: The text.
        key: The ``Idempotency-Key`` of every attempt to send it.
        at: Its position in the queue, in Unix milliseconds.
        refusal: Why the server refused it; empty while it may be sent.
        is_edit: Whether it is an edit that could not be saved in its note.
    """

    text: str
    key: str
    at: int
    refusal: str = ""
    is_edit: bool = False

    @property
    def name(self) -> str:
        """The end of its storage key; names sort in the order of the queue."""
        return f"{self.at:015}{self.key}"

    @property
    def as_edit(self) -> Change:
        """An edit that changes nothing, to begin with."""
        return Change(self.name, 0, self.text, is_draft=True)


class PendingNotes:
    """The pending notes of each user, in ``localStorage``.

    Args:
        storage_key: The session's storage key, which prefixes the names of the notes.
    """

    def __init__(self, storage_key: str) -> None:
        self._records = UserRecords(storage_key, "waiting", PendingNote)

    def prefix(self, user_id: str) -> str:
        """Return the start of the storage keys of all the user's notes."""
        return self._records.prefix(user_id)

    def load(self, user_id: str) -> list[PendingNote]:
        """Return the user's notes, in the order of the queue."""
        return self._records.load(user_id)

    def save(self, user_id: str, note: PendingNote) -> bool:
        """Store a note; return whether that worked."""
        record = asdict(note)
        if not note.is_edit:
            del record["is_edit"]  # An earlier version of the page does not know it.
        return self._records.save(user_id, note.name, record)

    def delete(self, user_id: str, note: PendingNote) -> None:
        """Delete a note."""
        self._records.delete(user_id, note.name)
