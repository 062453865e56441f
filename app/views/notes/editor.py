"""Edits one note in its place in the list. What is typed is kept on the device until then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from js import Date, document

from views.notes.change_queue import CHANGED_ELSEWHERE, DELETED_ELSEWHERE, ChangeQueue
from views.notes.changes import Change
from views.notes.form import DRAFT_SAVED
from views.notes.length import MAX_LENGTH
from views.notes.note import Note
from views.notes.outbox import STORAGE_FULL
from views.ui.dom import clone_template, show_alert
from views.ui.i18n import tr

END = 2**31 - 1  # Behind any text
TOO_LONG = "A note has up to 2,000 characters. Please shorten this text to save it; nothing is cut."


class Editor:
    """The form in a note's item.

    Args:
        note: The note as it is, as an edit that changes nothing.
        change: The edit to go on with, if there is one.
        queue: Keeps and sends the edit.
    """

    def __init__(self, note: Change, change: Change | None, queue: ChangeQueue) -> None:
        self._queue = queue
        self._original = note.text
        self._before = None if change is None else change.finished
        self._known = change or note
        # A note that another program made longer stays as long as it is.
        self._limit = max(MAX_LENGTH, len(note.text or ""))
        self.element = clone_template("note-editor")
        self._box = self.element.querySelector("textarea")
        self._alert = self.element.querySelector("[role=alert]")
        self._hint, self._counter = self.element.querySelectorAll("small")
        self._box.value = self._known.text
        self._has_focus = False
        self._show_hint(is_saved=change is not None)

    @property
    def text(self) -> str:
        """The text in the box."""
        return str(self._box.value)

    @property
    def is_changed(self) -> bool:
        """Whether the box has a text that is not saved."""
        return self.text != (self._before.text if self._before else self._original)

    def focus(self) -> None:
        """Put the cursor at the end of the text."""
        self._box.focus()
        self._box.setSelectionRange(END, END)

    def on_input(self) -> None:
        """Keep what was typed."""
        show_alert(self._alert)
        is_saved = not self._is_changed_elsewhere() and self._put(is_draft=True)
        self._show_hint(is_saved=is_saved)

    def save(self) -> bool:
        """Save the text; return whether the editor can be closed."""
        if len(self.text) > self._limit:
            show_alert(self._alert, tr(TOO_LONG))
            self._box.focus()
            return False
        if self._is_changed_elsewhere():
            return self._queue.keep(self.text, tr(CHANGED_ELSEWHERE))
        if not self.is_changed:
            self.cancel()
        elif not self._put(is_draft=False) and not self._known.has_id:
            self._put(is_draft=True)
            show_alert(self._alert, tr(STORAGE_FULL))
            return False
        return True

    def cancel(self) -> None:
        """Forget what was typed."""
        if self._is_changed_elsewhere():
            return
        if self._before is not None:
            self._queue.put(self._before)
        else:
            self._queue.discard(self._known.note_id)

    def leave(self) -> None:
        """Keep the text: the note was deleted elsewhere."""
        if self.is_changed:
            self._queue.keep(self.text, tr(DELETED_ELSEWHERE))

    def rebase(self, note: Note) -> None:
        """Go on from the stored note, if it is as the edit before left it."""
        if self._before is not None and self._before.text == note.text:
            self._known = replace(self._known, version=note.version)
            self._original, self._before = note.text, None

    def follow(self, note_id: str, version: str) -> None:
        """Become the editor of the stored note: the one that waited is delivered."""
        self._known = replace(self._known, note_id=note_id, version=version)
        if self._before is not None:
            self._before = replace(self._before, note_id=note_id, version=version)
        self._has_focus = bool(self.element.contains(document.activeElement))
        self.element.remove()

    def open_in(self, item: Any) -> None:
        """Show the editor in the note's item."""
        item.classList.add("editing")
        item.append(self.element)
        if self._has_focus:
            self._box.focus()  # With the cursor where it was.

    def _put(self, *, is_draft: bool) -> bool:
        self._known = replace(
            self._known,
            at=int(Date.now()),
            text=self.text,
            is_draft=is_draft,
            saved=self._before.text if is_draft and self._before else None,
        )
        return self._queue.put(self._known)

    def _is_changed_elsewhere(self) -> bool:
        """Return whether another tab has changed the note; its change must not be overwritten."""
        stored = self._queue.pending.get(self._known.note_id)
        return stored is not None and not stored.is_draft and stored != self._known

    def _show_hint(self, *, is_saved: bool) -> None:
        self._hint.textContent = tr(DRAFT_SAVED) if is_saved else ""
        self._counter.textContent = f"{len(self.text)} / {MAX_LENGTH}"
        self._counter.classList.toggle("over", len(self.text) > self._limit)
