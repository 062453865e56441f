"""The list of stored notes, drawn as far as it is looked at.

Of the notes that are loaded, the newest are drawn. The rest follows in small portions when the end
of the list comes near, and what is far from the window is taken out of the page (``portions.py``),
so that no number of notes makes the page stop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import js
from js import Object, document
from pyodide.ffi import create_proxy, to_js

from views.notes.change_queue import ChangeQueue
from views.notes.changes import Change
from views.notes.editors import Editors
from views.notes.note import Note
from views.notes.note_item import note_item
from views.notes.portions import AHEAD, Portions
from views.ui.dom import listen

FIRST, PORTION = 10, 20
"""Notes that are drawn at once; the first with all else that a view draws."""


class NoteList:
    """The items of the stored notes.

    Args:
        element: The list, which also has the items of pending notes, on top.
        end: An element behind the list; when it comes near, more is drawn.
        queue: Keeps and sends what the person changes.
        editors: The open editors.
        on_end: Called when all loaded notes are drawn and the server has more.
    """

    def __init__(
        self,
        element: Any,
        end: Any,
        queue: ChangeQueue,
        editors: Editors,
        on_end: Callable[[], None],
    ) -> None:
        self._element = element
        self._end = end
        self._queue = queue
        self._editors = editors
        self._on_end = on_end
        self._notes: list[Note] = []
        self._count = 0  # So many of them are drawn.
        self._has_more = False
        self._items: dict[int, Any] = {}
        self._portions = Portions(element, self._number)
        js_options = to_js({"rootMargin": f"{AHEAD}px"}, dict_converter=Object.fromEntries)
        self._observer = js.IntersectionObserver.new(create_proxy(self._on_end_seen), js_options)
        listen(element, "click", self._on_click)
        listen(element, "keydown", self._on_keydown)

    @property
    def oldest_drawn(self) -> int | None:
        """The id of the last note that is drawn."""
        return self._notes[self._count - 1].id if self._count else None

    @property
    def oldest_loaded(self) -> int | None:
        """The id of the last note that is loaded."""
        return self._notes[-1].id if self._notes else None

    # -- The notes -----------------------------------------------------------------------------

    def show(self, notes: list[Note], *, has_more: bool) -> None:
        """Show these notes; items that stay keep their place and their focus.

        Args:
            notes: The notes, newest first.
            has_more: Whether the server has older ones.
        """
        oldest, before = self.oldest_drawn, self._notes[: self._count]
        if oldest is None:
            self._remove_items()
        self._notes, self._has_more = notes, has_more
        drawn = self._index(oldest - 1) if oldest is not None else 0  # As old as it, or newer.
        self._count = min(len(notes), max(drawn, FIRST))
        shown = notes[: self._count]
        for note_id in self._items.keys() - {note.id for note in shown}:
            self._remove_item(note_id)
        self._draw(shown, {note.id: note.version for note in before})
        self._number()
        self._watch_end()

    def extend(self, notes: list[Note], *, has_more: bool) -> None:
        """Add the next page of older notes."""
        self._notes += notes
        self._has_more = has_more
        self._watch_end()

    def rewind(self) -> None:
        """Draw only the beginning of what is shown next."""
        self._count = 0

    def clear(self) -> None:
        """Remove all items."""
        self._observer.disconnect()
        self._remove_items()
        self._notes, self._count, self._has_more = [], 0, False

    def put(self, note: Note) -> None:
        """Add a note or replace it."""
        index = self._index(note.id)
        if index < len(self._notes) and self._notes[index].id == note.id:
            self._notes[index] = note
        else:
            self._notes.insert(index, note)
            self._count += index <= self._count
        if index < self._count:
            self._redraw(index)
        self._number()

    def remove(self, note_id: str) -> None:
        """Remove a note that the server no longer has."""
        index = self._index(int(note_id))
        if index < len(self._notes) and self._notes[index].id == int(note_id):
            del self._notes[index]
            self._count -= index < self._count
        if int(note_id) in self._items:
            self._remove_item(int(note_id))
        self._number()

    def update(self, note_id: str) -> None:
        """Draw a note again, whose change is new or gone."""
        index = self._index(int(note_id))
        if int(note_id) in self._items:
            self._redraw(index)

    def _index(self, note_id: int) -> int:
        return bisect_left(self._notes, -note_id, key=lambda note: -note.id)

    # -- Drawing -------------------------------------------------------------------------------

    def _draw(self, notes: list[Note], versions: dict[int, str]) -> None:
        """Draw those of the notes that are not drawn, or that are drawn in another version."""
        changes = self._queue.pending
        following = None
        for note in reversed(notes):
            self._editors.rebase(note)
            item = self._items.get(note.id)
            is_new = versions.get(note.id, note.version) != note.version
            if item is None or (is_new and str(note.id) not in self._editors):
                change = changes.get(str(note.id))
                item = self._draw_note(note, change, following, resumes=item is None)
            following = item

    def _redraw(self, index: int) -> None:
        note = self._notes[index]
        if str(note.id) in self._editors:
            self._editors.rebase(note)
            return
        following = next(
            (self._items[other.id] for other in self._notes[index + 1 : self._count]), None
        )
        # No editor opens by itself here: an unfinished edit of a new note is another tab's.
        self._draw_note(note, self._queue.pending.get(str(note.id)), following, resumes=False)

    def _draw_note(
        self, note: Note, change: Change | None, following: Any, *, resumes: bool
    ) -> Any:
        item = note_item(note, change, is_waiting=self._queue.is_waiting)
        last = self._items.get(note.id)
        self._items[note.id] = item
        if last is None:
            self._portions.insert(item, following)
        else:
            had_focus = last.contains(document.activeElement)
            last.replaceWith(item)
            if had_focus:
                item.querySelector("button").focus()
        is_unfinished = change is not None and change.is_draft
        if (resumes and is_unfinished) or self._editors.is_moving(str(note.id)):
            self._editors.open(item, note.as_edit, change)
        return item

    def _remove_item(self, note_id: int) -> None:
        self._editors.leave(str(note_id))
        item = self._items.pop(note_id)
        if item.contains(document.activeElement):
            after = self._portions.next_to(item, forward=True)
            before = after or self._portions.next_to(item, forward=False)
            (after or before or self._element).focus()
        item.remove()

    def _remove_items(self) -> None:
        for note_id in self._items:
            self._editors.forget(str(note_id))
        self._items.clear()
        self._portions.clear()

    def _number(self) -> None:
        """Tell screen readers the place of each item, while the page has not all of them."""
        if self._portions.are_all_present:
            return
        pending = self._element.querySelectorAll("li.pending").length
        size = -1 if self._has_more else pending + len(self._notes)
        for item in self._element.querySelectorAll("li[data-id]"):
            item.ariaSetSize = str(size)
            item.ariaPosInSet = str(pending + 1 + self._index(int(item.dataset.id)))

    def _watch_end(self) -> None:
        self._observer.disconnect()
        if self._count < len(self._notes) or self._has_more:
            self._observer.observe(self._end)  # Calls back at once if the end is near already.

    def _on_end_seen(self, js_entries: Any, _: Any) -> None:
        if any(entry.isIntersecting for entry in js_entries):
            self._draw_more()

    def _draw_more(self) -> None:
        portion = self._notes[self._count : self._count + PORTION]
        if not portion:
            self._on_end()
            return
        changes = self._queue.pending
        self._portions.begin()
        for note in portion:
            self._draw_note(note, changes.get(str(note.id)), None, resumes=True)
        self._count += len(portion)
        self._number()
        self._watch_end()

    # -- What the person does ------------------------------------------------------------------

    def _note_of(self, target: Any) -> Note | None:
        item = target.closest("li[data-id]")
        if not item:  # The item of a pending note
            return None
        index = self._index(int(item.dataset.id))
        return self._notes[index] if index < len(self._notes) else None

    def _on_click(self, js_event: Any) -> None:
        button = js_event.target.closest("button[data-action]")
        note = self._note_of(button) if button else None
        if note is None:
            return
        match button.dataset.action:
            case "edit":
                self._edit(note)
            case "delete":
                self._queue.delete(note)
            case "undo":
                self._queue.discard(str(note.id))

    def _edit(self, note: Note) -> None:
        change = self._queue.pending.get(str(note.id))
        self._editors.open(self._items[note.id], note.as_edit, change).focus()

    # -- The keyboard --------------------------------------------------------------------------

    def _on_keydown(self, js_event: Any) -> None:
        target, item = js_event.target, js_event.target.closest("li")
        has_modifier = js_event.ctrlKey or js_event.metaKey or js_event.altKey
        if item and not has_modifier and not target.matches("textarea"):
            self._on_list_key(js_event, item)

    def _on_list_key(self, js_event: Any, item: Any) -> None:
        match js_event.key:
            case "ArrowDown" | "ArrowUp":
                to = self._portions.next_to(item, forward=js_event.key == "ArrowDown")
            case "Home" | "End":
                to = self._portions.outermost(last=js_event.key == "End")
            case _:
                return
        js_event.preventDefault()
        if to:
            to.focus()
