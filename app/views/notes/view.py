"""Notes: the form for a new note, the pending notes, and the list of notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unexpired import AsyncClient
from views.notes.drafts import Drafts
from views.notes.form import NoteForm
from views.notes.outbox import PATH, Outbox
from views.notes.pending_list import PendingList
from views.ui.datetimes import show_time
from views.ui.dom import busy, clone_template, listen_async, start_task
from views.ui.error_messages import errors_shown_in
from views.ui.i18n import tr

STORED = "li:not(.pending)"


class Notes:
    """The Notes view.

    Args:
        client: Fetches and deletes the notes.
        drafts: Stores the draft of the next note.
        outbox: Sends the notes, and queues those that cannot be sent yet.
    """

    title = "Notes"

    def __init__(self, client: AsyncClient, drafts: Drafts, outbox: Outbox) -> None:
        self._client = client
        self._outbox = outbox
        self.element = clone_template("notes")
        self._list = self.element.querySelector("ul")
        self._empty = self.element.querySelector(".empty")
        self._footer = self.element.querySelector(":scope > footer")
        self._error = self.element.querySelector(".error")
        self._alert = self._error.querySelector("[role=alert]")
        self._changes = 0
        form = self.element.querySelector("form")
        self._form = NoteForm(form, drafts, outbox.post, lambda: self._on_delivered(None))
        self._pending = PendingList(
            self._list,
            self.element.querySelector(".result"),
            form.querySelector("textarea"),
            outbox,
        )
        listen_async(self._footer.querySelector("button"), "click", lambda _: self._export())
        listen_async(self._error.querySelector("button"), "click", lambda _: self._load())
        listen_async(self._list, "click", self._on_list_click)
        client.on("signed_in", self._on_signed_in)
        client.on("expired", lambda _: self._clear())
        client.on("signed_out", self._on_signed_out)
        outbox.start(on_delivered=self._on_delivered, on_changed=self._update_pending)

    def show(self, _: Mapping[str, str]) -> None:
        """Restore the draft and fetch the notes."""
        self.element.querySelector("h1").focus()
        self._open()

    def _open(self) -> None:
        self._restore()
        self._outbox.flush()
        start_task(self._load())

    def _restore(self) -> None:
        user = self._client.user
        if user is not None:
            self._form.restore(str(user.get("id", "")))
        self._update_pending()

    def _on_signed_in(self) -> None:
        """Replace what is shown: in another tab, another user may have signed in."""
        self._clear()
        if self.element.isConnected:
            self._open()

    def _on_signed_out(self, where: str) -> None:
        """Remove the notes; if the person signed out in this tab, delete the draft too."""
        self._clear()
        if where == "here":
            self._form.discard()

    def _clear(self) -> None:
        self._pending.clear()
        self._list.replaceChildren()

    async def _load(self) -> None:
        self._error.hidden = True
        with busy(self._list), errors_shown_in(self._alert):
            notes = await self._fetch()
            for item in self._list.querySelectorAll(STORED):
                item.remove()
            self._list.append(*map(_item, notes))
        self._update_controls()

    async def _fetch(self) -> list[Mapping[str, Any]]:
        """Return the server's notes; fetch again if the list has changed during the request."""
        while True:
            before = self._changes
            notes = await self._fetch_pages()
            if before == self._changes:
                return notes

    async def _fetch_pages(self) -> list[Mapping[str, Any]]:
        notes: list[Mapping[str, Any]] = []
        params: dict[str, str] = {}
        while True:
            response = await self._client.get(PATH, params=params)
            page = response.raise_for_status().json()
            notes += page["notes"]
            if not (last := page.get("next")):
                return notes
            params = {"after": last}

    def _on_delivered(self, note: Mapping[str, Any] | None) -> None:
        """Add a stored note to the list; without one, another tab sent it: fetch the list."""
        self._changes += 1
        if note is not None:
            item = _item(note)
            # If an earlier response was lost, the note may be in the list already.
            for other in self._list.querySelectorAll(f"[data-id='{item.dataset.id}']"):
                other.remove()
            self._list.insertBefore(item, self._list.querySelector(STORED))
            self._update_controls()
        elif self.element.isConnected and self._client.user is not None:
            start_task(self._load())

    def _update_pending(self) -> None:
        self._pending.update()
        self._update_controls()

    async def _on_list_click(self, js_event: Any) -> None:
        if button := js_event.target.closest(f"{STORED} button"):
            await self._delete(button.closest("li"), button)

    async def _delete(self, item: Any, button: Any) -> None:
        with busy(button), errors_shown_in(self._alert):
            response = await self._client.delete(f"{PATH}/{item.dataset.id}")
            if response.status_code != 404:  # noqa: PLR2004 - The note is already deleted.
                response.raise_for_status()
            self._changes += 1
            item.remove()
        self._update_controls()

    async def _export(self) -> None:
        from views.notes.export import export  # noqa: PLC0415 - urllib imports slowly; few people export

        button, alert = self._footer.children
        with busy(button), errors_shown_in(alert):
            export(self._client, PATH)

    def _update_controls(self) -> None:
        """Show or hide the error, the hint for an empty list, and the export button."""
        has_error = bool(self._alert.textContent)
        self._error.hidden = not has_error
        self._empty.hidden = has_error or self._list.childElementCount > 0
        self._footer.hidden = self._list.childElementCount == 0


def _item(note: Mapping[str, Any]) -> Any:
    item = clone_template("note")
    item.dataset.id = str(note["id"])
    item.querySelector("p").textContent = note["text"]
    item.querySelector("button").ariaLabel = tr("Delete note: {}", note["text"][:40])
    show_time(item.querySelector("time"), note["createdAt"])
    return item
