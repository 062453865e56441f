"""Notes: the form for a new note, the search, the pending notes, and the list of notes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from js import clearTimeout, setTimeout
from pyodide.ffi import create_proxy

from unexpired import AsyncClient
from views.notes.change_queue import ChangeQueue
from views.notes.delivery import user_id_of
from views.notes.drafts import Drafts
from views.notes.editors import Editors
from views.notes.form import NoteForm
from views.notes.note import Note, note_from
from views.notes.note_list import NoteList
from views.notes.outbox import PATH, Outbox
from views.notes.pending_list import PendingList
from views.ui.address import replace_address
from views.ui.dom import busy, clone_template, is_busy, listen, listen_async, show_alert, start_task
from views.ui.error_messages import errors_shown_in
from views.ui.i18n import tr

NO_NOTES = "No notes yet. Write the first one."
NOT_FOUND = "No note has all of these words."
PAGE = "250"  # Notes; a larger page takes longer to read than a person waits without noticing.
ADDRESS = "#/notes"
SEARCH_AFTER = 250  # ms without a further letter


class Notes:
    """The Notes view.

    Args:
        client: Fetches the notes.
        drafts: Stores the draft of the next note.
        outbox: Sends the notes, and queues those that cannot be sent yet.
        changes: Does the same for edits and deletions.
    """

    title = "Notes"

    def __init__(
        self, client: AsyncClient, drafts: Drafts, outbox: Outbox, changes: ChangeQueue
    ) -> None:
        self._client = client
        self._outbox = outbox
        self._queue = changes
        self.element = clone_template("notes")
        self._ul = self.element.querySelector("ul")
        self._empty = self.element.querySelector(".empty")
        self._error = self.element.querySelector(".error")
        self._alert = self._error.querySelector("[role=alert]")
        self._end = self.element.querySelector(".end")
        self._tools = self.element.querySelector(".tools")
        self._search = self._tools.querySelector("input")
        self._user_id = user_id_of(client)  # Also when it is gone: whose drafts to delete.
        self._words: list[str] = []
        self._changes = 0
        self._timer: Any = 0
        self._search_proxy = create_proxy(self._on_search)
        form = self.element.querySelector("form")
        self._form = NoteForm(form, drafts, outbox.post, self._reload)
        self._editors = Editors(self._ul, changes, self._on_closed)
        self._list = NoteList(self._ul, self._end, changes, self._editors, self._on_end)
        self._pending = PendingList(
            notes=self._ul,
            summary=self.element.querySelector(".result"),
            text_box=form.querySelector("textarea"),
            outbox=outbox,
            queue=changes,
            editors=self._editors,
        )
        listen_async(self._tools.querySelector("button"), "click", lambda _: self._export())
        listen_async(self._error.querySelector("button"), "click", lambda _: self._try_again())
        listen(self._end.querySelector("button"), "click", lambda _: self._on_end())
        listen(self.element, "keydown", _submit_by_key)
        listen(self._search, "input", lambda _: self._on_search_input())
        client.on("signed_in", self._on_signed_in)
        client.on("expired", lambda _: self._clear())
        client.on("signed_out", self._on_signed_out)
        outbox.start(
            on_sent=self._on_sent,
            on_delivered=self._on_delivered,
            on_changed=self._update_pending,
        )
        changes.start(
            on_changed=self._on_changed,
            on_saved=self._on_saved,
            on_deleted=self._on_deleted,
            on_refused=self._on_refused,
            on_sent_elsewhere=self._reload,
        )

    def has_draft(self) -> bool:
        """Return whether the person has begun a note, or an edit, that is not saved."""
        is_editing = any(change.is_draft for change in self._queue.pending.values())
        return is_editing or self._form.has_draft(user_id_of(self._client))

    def show(self, query: Mapping[str, str]) -> None:
        """Restore the draft and fetch the notes: with ``q``, those that have its words."""
        self.element.querySelector("h1").focus()
        self._search.value = query.get("q", "")
        self._find(self._search.value.split())
        self._open()

    def _open(self) -> None:
        self._restore()
        self._outbox.flush()
        self._reload()

    def _restore(self) -> None:
        if self._client.user is not None:
            self._form.restore(self._user_id)
        self._update_pending()

    def _on_signed_in(self) -> None:
        """Replace what is shown: in another tab, another user may have signed in."""
        self._clear()
        self._user_id = user_id_of(self._client)
        if self.element.isConnected:
            self._open()

    def _on_signed_out(self, where: str) -> None:
        """Remove the notes; if the person signed out in this tab, delete their drafts too."""
        self._clear()
        self._search.value, self._words = "", []
        if where == "here":
            self._form.discard(self._user_id)
            self._queue.discard_drafts(self._user_id)

    def _clear(self) -> None:
        self._pending.clear()
        self._list.clear()
        self._editors.clear()

    # -- Fetching ------------------------------------------------------------------------------

    def _reload(self) -> None:
        """Fetch what is shown, unless a request is under way, which is then repeated."""
        self._changes += 1
        if not is_busy(self._ul) and self.element.isConnected and self._client.user is not None:
            start_task(self._load())

    async def _load(self) -> None:
        self._error.hidden = True
        with busy(self._ul), errors_shown_in(self._alert):
            while True:
                before = self._changes
                notes, has_more = await self._fetch_drawn()
                await asyncio.sleep(0)  # A pause: to read a large page takes as long as to draw it.
                if before == self._changes:
                    break
            self._list.show(notes, has_more=has_more)
        self._update_controls()

    async def _try_again(self) -> None:
        self._ul.focus()  # The button is hidden next.
        await self._load()

    async def _fetch_drawn(self) -> tuple[list[Note], bool]:
        """Fetch the notes as far as they are drawn; return whether there are more."""
        oldest = self._list.oldest_drawn
        notes, has_more = await self._fetch_page(None)
        while has_more and oldest is not None and notes[-1].id > oldest:
            page, has_more = await self._fetch_page(notes[-1].id)
            notes += page
        return notes, has_more

    async def _fetch_page(self, after: int | None) -> tuple[list[Note], bool]:
        params = {"q": " ".join(self._words)} if self._words else {}
        if after is not None:
            params |= {"after": str(after), "limit": PAGE}
        response = await self._client.get(PATH, params=params)
        page = response.raise_for_status().json()
        return [note_from(fields) for fields in page["notes"]], "next" in page

    def _on_end(self) -> None:
        if not is_busy(self._end):
            start_task(self._load_more())

    async def _load_more(self) -> None:
        button, alert = self._end.querySelector("button"), self._end.querySelector("[role=alert]")
        button.hidden = True
        with busy(self._end), errors_shown_in(alert):
            before = self._changes
            notes, has_more = await self._fetch_page(self._list.oldest_loaded)
            if before == self._changes:
                self._list.extend(notes, has_more=has_more)
            else:
                self._reload()
        button.hidden = not alert.textContent

    # -- Search --------------------------------------------------------------------------------

    def _on_search_input(self) -> None:
        clearTimeout(self._timer)
        self._timer = setTimeout(self._search_proxy, SEARCH_AFTER)

    def _on_search(self) -> None:
        text = self._search.value.strip()
        if self.element.isConnected and self._find(text.split()):
            self._update_pending()
            self._reload()
            # The address has the search, so that a reload and the way back keep it.
            replace_address(f"{ADDRESS}?q={quote(text)}" if text else ADDRESS)

    def _find(self, words: list[str]) -> bool:
        """Look for these words from now on; return whether they are others than before."""
        if words == self._words:
            return False
        self._words = words
        self._list.rewind()
        return True

    # -- Changes -------------------------------------------------------------------------------

    def _on_sent(self, name: str, fields: Mapping[str, Any]) -> None:
        """Make the edit of a note that waited one of the stored note."""
        note = note_from(fields)
        self._queue.move(name, note)
        self._editors.move(name, str(note.id), note.version)

    def _on_delivered(self, fields: Mapping[str, Any] | None) -> None:
        """Add a stored note to the list; without one, another tab sent it: fetch the list."""
        if fields is None:
            self._reload()
        else:
            self._on_saved(note_from(fields))

    def _on_saved(self, note: Note) -> None:
        self._changes += 1
        if note.has(self._words):
            self._list.put(note)
        else:
            self._list.remove(str(note.id))
        self._update_controls()

    def _on_changed(self, note_id: str) -> None:
        if note_id.isdecimal():
            self._list.update(note_id)
        else:
            self._update_pending()

    def _on_closed(self, note_id: str) -> None:
        if not note_id.isdecimal():
            self._pending.on_closed(note_id)
        self._on_changed(note_id)

    def _on_deleted(self, note_id: str) -> None:
        self._changes += 1
        self._list.remove(note_id)
        self._update_controls()

    def _on_refused(self, reason: str) -> None:
        show_alert(self._alert, reason)
        self._update_controls()

    def _update_pending(self) -> None:
        self._pending.update(self._words)
        self._update_controls()

    async def _export(self) -> None:
        from views.notes.export import export  # noqa: PLC0415 - urllib imports slowly; few people export

        button, alert = self._tools.querySelector("button"), self._tools.querySelector("p")
        with busy(button), errors_shown_in(alert):
            export(self._client, PATH)

    def _update_controls(self) -> None:
        """Show or hide the error, the hint for an empty list, and the tools."""
        has_error = bool(self._alert.textContent)
        is_empty = not self._ul.querySelector("li, .gap")
        self._error.hidden = not has_error
        self._empty.hidden = has_error or not is_empty
        self._empty.textContent = tr(NOT_FOUND if self._words else NO_NOTES)
        self._tools.hidden = is_empty and not self._words


def _submit_by_key(js_event: Any) -> None:
    """Send the form of a text box by Ctrl+Enter, on a Mac by Cmd+Return."""
    is_shortcut = js_event.key == "Enter" and (js_event.ctrlKey or js_event.metaKey)
    if is_shortcut and js_event.target.matches("textarea"):
        js_event.preventDefault()  # Else WebKit clicks what has the focus once the text is saved.
        js_event.target.form.requestSubmit()
