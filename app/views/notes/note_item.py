"""Draws one note: as it is, with a change that waits, or as deleted."""

from __future__ import annotations

from typing import Any

from views.notes.changes import Change
from views.notes.note import Note
from views.ui.datetimes import show_time
from views.ui.dom import clone_template
from views.ui.i18n import tr

NAME_LENGTH = 40
SAVING = "Saving…"
PENDING = "Waiting for the network…"


def note_item(note: Note, change: Change | None, *, is_waiting: bool) -> Any:
    """Return an item of the list.

    Args:
        note: The note as the server has it.
        change: What the person has changed since.
        is_waiting: Whether changes wait for the network.
    """
    if change is not None and change.text is None:
        return _deleted(note)
    item = clone_template("note")
    item.dataset.id = str(note.id)
    text, footer = item.children
    text.textContent = note.text
    show_time(footer.querySelector("time"), note.created_at)
    edit, delete = footer.querySelectorAll("button")
    edit.ariaLabel = tr("Edit note: {}", note.text[:NAME_LENGTH])
    delete.ariaLabel = tr("Delete note: {}", note.text[:NAME_LENGTH])
    if change is not None and not change.is_draft:
        text.textContent = change.text
        footer.querySelector("small").textContent = tr(PENDING if is_waiting else SAVING)
    return item


def _deleted(note: Note) -> Any:
    item = clone_template("deleted-note")
    item.dataset.id = str(note.id)
    item.querySelector("button").ariaLabel = tr("Undo: delete note {}", note.text[:NAME_LENGTH])
    return item
