"""Shows the pending notes at the top of the list of notes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from js import document

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
    """

    def __init__(self, notes: Any, summary: Any, text_box: Any, outbox: Outbox) -> None:
        self._notes = notes
        self._summary = summary
        self._text_box = text_box
        self._outbox = outbox
        self._items: dict[str, Any] = {}
        listen(notes, "click", self._on_click)

    def update(self, words: Iterable[str]) -> None:
        """Show the current notes; items that stay keep their place and their focus.

        Args:
            words: What is searched for: notes without these words are not shown.
        """
        pending = {one.name: one for one in self._outbox.pending if has_words(one.text, words)}
        for name in self._items.keys() - pending.keys():
            self._remove(self._items.pop(name))
        for name, note in pending.items():  # In the order of the queue: the newest ends on top.
            if name not in self._items:
                self._items[name] = _item(note)
                self._notes.prepend(self._items[name])
            _update_item(self._items[name], note)
        self._update_summary(self._outbox.pending)

    def clear(self) -> None:
        """Remove all items and the summary."""
        for item in self._items.values():
            item.remove()
        self._items.clear()
        self._summary.textContent = ""

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
        button = js_event.target.closest("li.pending button")
        note = button and self._find(button.closest("li").dataset.name)
        if note and button.dataset.action == "retry":
            self._outbox.retry(note)
        elif note:
            self._summary.textContent = ""  # Do not claim that a discarded note was sent.
            self._outbox.discard(note)
        if button:
            self._text_box.focus()

    def _find(self, name: str) -> PendingNote | None:
        return next((note for note in self._outbox.pending if note.name == name), None)


def _item(note: PendingNote) -> Any:
    item = clone_template("pending-note")
    item.dataset.name = note.name
    item.querySelector("p").textContent = note.text
    if note.is_edit:
        item.querySelector("[data-action=retry]").textContent = tr(ADD)
    for button in item.querySelectorAll("button"):
        button.ariaLabel = f"{button.textContent}: {note.text[:40]}"
    return item


def _update_item(item: Any, note: PendingNote) -> None:
    item.querySelector("[role=alert]").textContent = note.refusal
    refused = NOT_SAVED if note.is_edit else REFUSED
    item.querySelector("small").textContent = tr(refused if note.refusal else PENDING)
    item.querySelector("[data-action=retry]").hidden = not note.refusal
