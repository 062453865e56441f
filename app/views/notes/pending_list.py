"""The notes that wait to be sent, as they stand in the list."""

from typing import Any

from views.notes.outbox import Outbox
from views.notes.pending_notes import Waiting
from views.ui.dom import listen, stamp
from views.ui.i18n import counted, tr

WAITING = "Waiting for the network…"
REFUSED = "Not sent"
ONE_WAITS = "One note waits on this device and goes out by itself. It stays here if you sign out."
SOME_WAIT = "{} notes wait on this device and go out by themselves. They stay here if you sign out."
ALL_SENT = "What waited has been sent."


class WaitingNotes:
    """Shows what waits in an outbox.

    Args:
        notes: The list of notes; those that wait stand on top of it.
        said: Says how many there are.
        box: Where the focus goes when a note that had it is discarded.
        outbox: What is shown.
    """

    def __init__(self, notes: Any, said: Any, box: Any, outbox: Outbox) -> None:
        self._notes = notes
        self._said = said
        self._box = box
        self._outbox = outbox
        self._items: dict[str, Any] = {}
        listen(notes, "click", self._clicked)

    def draw(self) -> None:
        """Show what waits now; an item that stays keeps its place and the focus."""
        waiting = {note.name: note for note in self._outbox.waiting}
        for name in self._items.keys() - waiting.keys():
            self._items.pop(name).remove()
        for name, note in waiting.items():  # The newest comes last, and so to the top.
            if name not in self._items:
                self._items[name] = _item(note)
                self._notes.prepend(self._items[name])
            _tell(self._items[name], note)
        self._count(list(waiting.values()))

    def clear(self) -> None:
        """Leave nothing on the screen."""
        for item in self._items.values():
            item.remove()
        self._items.clear()
        self._said.textContent = ""

    def _count(self, notes: list[Waiting]) -> None:
        number = sum(not note.refusal for note in notes)
        sentence = counted(number, ONE_WAITS, SOME_WAIT)
        if not number:  # A note that was refused speaks for itself.
            sentence = tr(ALL_SENT) if self._said.textContent and not notes else ""
        if self._said.textContent != sentence:  # A screen reader speaks each change.
            self._said.textContent = sentence

    def _clicked(self, js_event: Any) -> None:
        button = js_event.target.closest("li.waiting button")
        note = button and self._note(button.closest("li").dataset.name)
        if note and button.dataset.act == "again":
            self._outbox.retry(note)
        elif note:
            self._said.textContent = ""  # What is discarded was not sent.
            self._outbox.discard(note)
        if button:
            self._box.focus()

    def _note(self, name: str) -> Waiting | None:
        return next((note for note in self._outbox.waiting if note.name == name), None)


def _item(note: Waiting) -> Any:
    item = stamp("waiting-note")
    item.dataset.name = note.name
    item.querySelector("p").textContent = note.text
    for button in item.querySelectorAll("button"):
        button.ariaLabel = f"{button.textContent}: {note.text[:40]}"
    return item


def _tell(item: Any, note: Waiting) -> None:
    item.querySelector("[role=alert]").textContent = note.refusal
    item.querySelector("small").textContent = tr(REFUSED if note.refusal else WAITING)
    item.querySelector("[data-act=again]").hidden = not note.refusal
