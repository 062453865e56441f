"""Stores changes of notes that the server does not have yet, on the device and per user.

There is one change for each note: a deletion, an edit, or an edit that is still being written. The
note of an edit may itself wait to be sent, and have no id yet.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from uuid import uuid4

from views.notes.user_records import UserRecords


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a note.

    Attributes:
        note_id: The note; one that waits to be sent has a name in place of an id.
        at: When it was made, in Unix milliseconds.
        text: The new text; None deletes the note.
        version: The version of the note that was edited.
        is_draft: Whether the person is still writing.
        key: The same for an edit that is edited again before it is sent.
        saved: The text of the edit before, which a draft is to replace, and which stays if the
            draft is given up.
    """

    note_id: str
    at: int
    text: str | None = None
    version: str = ""
    is_draft: bool = False
    key: str = field(default_factory=lambda: str(uuid4()))
    saved: str | None = None

    @property
    def finished(self) -> Change | None:
        """The edit that the person has finished: this one, or the one before a draft."""
        if not self.is_draft:
            return self
        if self.saved is None:
            return None
        return replace(self, text=self.saved, is_draft=False, saved=None)

    @property
    def has_id(self) -> bool:
        """Whether the server has stored the note, so that the change can be sent."""
        return self.note_id.isdecimal()


class Changes:
    """The changes of each user, in ``localStorage``; where that fails, in memory.

    Args:
        storage_key: The session's storage key, which prefixes the names of the changes.
    """

    def __init__(self, storage_key: str) -> None:
        self._records = UserRecords(storage_key, "changes", Change)
        self._unsaved: dict[tuple[str, str], Change] = {}

    def prefix(self, user_id: str) -> str:
        """Return the start of the storage keys of all the user's changes."""
        return self._records.prefix(user_id)

    def load(self, user_id: str) -> dict[str, Change]:
        """Return the user's changes by note, in the order in which they were made."""
        stored = self._records.load(user_id)
        stored += [change for (owner, _), change in self._unsaved.items() if owner == user_id]
        return {change.note_id: change for change in sorted(stored, key=lambda one: one.at)}

    def save(self, user_id: str, change: Change) -> bool:
        """Keep a change in place of the note's last one; return whether it survives a reload."""
        is_stored = self._records.save(user_id, change.note_id, asdict(change))
        if is_stored:
            self._unsaved.pop((user_id, change.note_id), None)
        else:
            self._unsaved[user_id, change.note_id] = change
        return is_stored

    def delete(self, user_id: str, change: Change) -> None:
        """Forget a change, unless the note has another one by now."""
        last = self.load(user_id).get(change.note_id)
        if last == change:
            self._unsaved.pop((user_id, change.note_id), None)
            self._records.delete(user_id, change.note_id)
