"""A note as the server has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from views.notes.changes import Change


@dataclass(frozen=True, slots=True)
class Note:
    """A note.

    Attributes:
        id: The id; a larger number is a newer note.
        text: The text.
        created_at: When it was added, in ISO 8601.
        version: Differs if the text does.
    """

    id: int
    text: str
    created_at: str
    version: str

    @property
    def as_edit(self) -> Change:
        """An edit that changes nothing, to begin with."""
        return Change(str(self.id), 0, self.text, self.version, is_draft=True)

    def has(self, words: Iterable[str]) -> bool:
        """Return whether the text has all of these words, in upper or lower case."""
        return has_words(self.text, words)


def note_from(fields: Mapping[str, Any]) -> Note:
    """Return the note that the server's JSON describes."""
    return Note(
        int(fields["id"]), fields["text"], fields["createdAt"], str(fields.get("version", ""))
    )


def has_words(text: str, words: Iterable[str]) -> bool:
    """Return whether a text has all of these words, in upper or lower case."""
    folded = text.casefold()
    return all(word.casefold() in folded for word in words)
