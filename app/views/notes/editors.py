"""The open editors of the list of notes, those of notes that wait included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from views.notes.change_queue import ChangeQueue
from views.notes.changes import Change
from views.notes.editor import Editor
from views.notes.note import Note
from views.ui.dom import listen


class Editors:
    """The editors, by the id of the note; by its name if it waits to be sent.

    Args:
        element: The list of notes.
        queue: Keeps and sends the edits.
        on_closed: Called with the note whose editor is closed, or goes on at another item.
    """

    def __init__(self, element: Any, queue: ChangeQueue, on_closed: Callable[[str], None]) -> None:
        self._queue = queue
        self._on_closed = on_closed
        self._open: dict[str, Editor] = {}
        self._moving: dict[str, Editor] = {}
        listen(element, "click", self._on_click)
        listen(element, "input", self._on_input)
        listen(element, "submit", self._on_submit)
        listen(element, "keydown", self._on_keydown)

    def __contains__(self, note_id: str) -> bool:
        return note_id in self._open

    def open(self, item: Any, note: Change, change: Change | None) -> Editor:
        """Open an editor in the note's item.

        Args:
            item: The item.
            note: The note as it is, as an edit that changes nothing.
            change: The edit to go on with, if there is one.
        """
        editor = self._moving.pop(note.note_id, None) or Editor(note, change, self._queue)
        self._open[note.note_id] = editor
        editor.open_in(item)
        return editor

    def is_moving(self, note_id: str) -> bool:
        """Return whether the editor of a note that was delivered is yet to be shown again."""
        return note_id in self._moving

    def move(self, name: str, note_id: str, version: str) -> None:
        """Let the editor of a note that waited go on at the item of the stored note."""
        editor = self._open.pop(name, None)
        if editor is None:
            return
        if note_id in self._open:  # The response to an earlier attempt was lost.
            editor.leave()
            return
        editor.follow(note_id, version)
        self._moving[note_id] = editor
        self._on_closed(note_id)

    def rebase(self, note: Note) -> None:
        """Tell the editor of a note, if there is one, what the server has now."""
        if editor := self._open.get(str(note.id)):
            editor.rebase(note)

    def leave(self, note_id: str) -> None:
        """Close the editor of a note that is gone; keep its text."""
        if editor := self._open.pop(note_id, None):
            editor.leave()

    def settle(self, name: str) -> None:
        """Keep the text of a note that waits no more; go on at the stored note if it is known."""
        if name in self._open and self._open[name].is_changed:
            self._open[name].on_input()
        moved = self._queue.settle(name)
        if moved is not None:
            self.move(name, moved.note_id, moved.version)
        self.forget(name)

    def forget(self, note_id: str) -> None:
        """Forget the editor of a note that is not shown any more."""
        self._open.pop(note_id, None)

    def clear(self) -> None:
        """Forget all editors."""
        self._open.clear()
        self._moving.clear()

    def _close(self, note_id: str) -> None:
        self.forget(note_id)
        self._on_closed(note_id)

    # -- What the person does ------------------------------------------------------------------

    def _found(self, target: Any) -> tuple[str, Editor] | None:
        return next((pair for pair in self._open.items() if pair[1].element.contains(target)), None)

    def _on_click(self, js_event: Any) -> None:
        found = self._found(js_event.target)
        if found and js_event.target.closest("[data-action=cancel]"):
            self._cancel(*found)

    def _on_input(self, js_event: Any) -> None:
        if found := self._found(js_event.target):
            found[1].on_input()

    def _on_submit(self, js_event: Any) -> None:
        found = self._found(js_event.target)
        if found and found[1].save():
            self._close(found[0])

    def _on_keydown(self, js_event: Any) -> None:
        is_escape = js_event.key == "Escape" and js_event.target.matches("textarea")
        found = self._found(js_event.target) if is_escape else None
        if found and not found[1].is_changed:
            self._cancel(*found)

    def _cancel(self, note_id: str, editor: Editor) -> None:
        editor.cancel()
        self._close(note_id)
