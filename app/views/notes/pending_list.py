"""Shows the pending notes at the top of the list of notes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from js import document

from views.notes.change_queue import ChangeQueue
from views.notes.changes import Change
from views.notes.editors import Editors
from views.notes.note import has_words
from views.notes.outbox import Outbox
from views.notes.pending_notes import PendingNote
from views.ui.dom import clone_template, listen
from views.ui.i18n import tr, tr_plural

PENDING = "Waiting for the network…"
REFUSED = "Not sent"
NOT_SAVED = "Not saved"
ADD = "Add as a new note"
ONE_PENDING = "1 note is waiting to be sent. It stays on this device if you sign out."
SOME_PENDING = "{} notes are waiting to be sent. They stay on this device if you sign out."
ALL_SENT = "All waiting notes have been sent."


class PendingList:
    """The items of the pending notes.

    Args:
        notes: The list of notes.
        summary: The element that shows how many notes are pending.
        text_box: The element to focus after a button of an item was used.
        outbox: The outbox that sends the notes.
        queue: Keeps the edits of the notes.
        editors: The open editors.
    """

    def __init__(  # noqa: PLR0913 - view.py passes each of them once, by name
        self,
        *,
        notes: Any,
        summary: Any,
        text_box: Any,
        outbox: Outbox,
        queue: ChangeQueue,
        editors: Editors,
    ) -> None:
        self._notes = notes
        self._summary = summary
        self._text_box = text_box
        self._outbox = outbox
        self._queue = queue
        self._editors = editors
        self._items: dict[str, Any] = {}
        listen(notes, "click", self._on_click)

    def update(self, words: Iterable[str]) -> None:
        """Show the current notes; items that stay keep their place and their focus.

        Args:
            words: What is searched for: notes without these words are not shown.
        """
        pending = {one.name: one for one in self._outbox.pending}
        edits = self._queue.pending
        texts = {name: _text(note, edits.get(name)) for name, note in pending.items()}
        shown = [note for name, note in pending.items() if has_words(texts[name], words)]
        hidden = self._items.keys() - {note.name for note in shown}
        for name, item in [(name, self._items.pop(name)) for name in hidden]:
            if name in pending:
                self._editors.forget(name)
            else:
                self._editors.settle(name)
            self._remove(item)
        for note in shown:  # In the order of the queue: the newest ends on top.
            _update_item(self._item(note, edits.get(note.name)), note, texts[note.name])
        self._update_summary(self._outbox.pending)

    def on_closed(self, name: str) -> None:
        """Show the note in place of its editor; send it, if it was refused as it was."""
        if name in self._items:
            _show_again(self._items[name])
        note, edit = self._find(name), self._queue.pending.get(name)
        if note and note.refusal and edit and not note.is_edit:
            self._retry(note)

    def clear(self) -> None:
        """Remove all items and the summary."""
        for item in self._items.values():
            item.remove()
        self._items.clear()
        self._summary.textContent = ""

    def _item(self, note: PendingNote, edit: Change | None) -> Any:
        """Return the item of a note; make it at the top of the list if it has none."""
        if note.name not in self._items:
            self._items[note.name] = item = _new_item(note)
            self._notes.prepend(item)
            if edit is not None and edit.is_draft:
                self._editors.open(item, note.as_edit, edit)
        return self._items[note.name]

    def _remove(self, item: Any) -> None:
        if item.contains(document.activeElement):
            (self._notes.querySelector("li:focus-within ~ li") or self._text_box).focus()
        item.remove()

    def _update_summary(self, notes: list[PendingNote]) -> None:
        count = sum(not note.refusal for note in notes)
        message = tr_plural(count, ONE_PENDING, SOME_PENDING)
        if not count:  # The items of refused notes show the reason themselves.
            message = tr(ALL_SENT) if self._summary.textContent and not notes else ""
        if self._summary.textContent != message:  # A screen reader announces each write.
            self._summary.textContent = message

    def _on_click(self, js_event: Any) -> None:
        button = js_event.target.closest("li.pending > footer button")
        note = button and self._find(button.closest("li").dataset.name)
        if note and button.dataset.action == "edit":
            self._edit(note)
            return
        if note and button.dataset.action == "retry":
            self._retry(note)
        elif note:
            self._discard(note)
        if button:
            self._text_box.focus()

    def _edit(self, note: PendingNote) -> None:
        edit = self._queue.pending.get(note.name)
        self._editors.open(self._items[note.name], note.as_edit, edit).focus()

    def _retry(self, note: PendingNote) -> None:
        """Send a refused note: the server has not stored it, so its edit can take its place."""
        edit = self._queue.pending.get(note.name)
        if self._outbox.retry(note, _text(note, edit)) and edit and not edit.is_draft:
            self._queue.discard(note.name)

    def _discard(self, note: PendingNote) -> None:
        self._summary.textContent = ""  # Do not claim that a discarded note was sent.
        self._queue.discard(note.name)
        self._outbox.discard(note)

    def _find(self, name: str) -> PendingNote | None:
        return next((note for note in self._outbox.pending if note.name == name), None)


def _text(note: PendingNote, edit: Change | None) -> str:
    """Return the text of a note, as it was edited last."""
    return note.text if edit is None or edit.is_draft else edit.text or ""


def _new_item(note: PendingNote) -> Any:
    item = clone_template("pending-note")
    item.dataset.name = note.name
    if note.is_edit:
        item.querySelector("[data-action=retry]").textContent = tr(ADD)
    return item


def _show_again(item: Any) -> None:
    """Show the note in place of its editor."""
    item.classList.remove("editing")
    if item.contains(document.activeElement):
        item.querySelector("[data-action=edit]").focus()
    item.querySelector("form").remove()


def _update_item(item: Any, note: PendingNote, text: str) -> None:
    refused = NOT_SAVED if note.is_edit else REFUSED
    shown, alert, footer = item.querySelectorAll(":scope > *:not(form)")
    shown.textContent = text
    alert.textContent = note.refusal
    footer.querySelector("small").textContent = tr(refused if note.refusal else PENDING)
    for button in footer.querySelectorAll("button"):
        button.ariaLabel = f"{button.textContent}: {text[:40]}"
    footer.querySelector("[data-action=edit]").ariaLabel = tr("Edit note: {}", text[:40])
    footer.querySelector("[data-action=retry]").hidden = not note.refusal
