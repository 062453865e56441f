"""Notes: the list, with what waits to be sent on top, and the form above it."""

from collections.abc import Mapping
from typing import Any

from unexpired import AsyncClient
from views.notes.drafts import Drafts
from views.notes.form import Writing
from views.notes.outbox import PATH, Outbox
from views.notes.pending_list import WaitingNotes
from views.ui.datetimes import show_time
from views.ui.dom import busy, listen_async, stamp, start
from views.ui.error_messages import told_in
from views.ui.i18n import tr

SENT = "li:not(.waiting)"


class Notes:
    """The notes view.

    Args:
        client: Fetches and deletes the notes.
        drafts: Keeps the unsent one.
        outbox: Sends them, and keeps what cannot be sent yet.
    """

    title = "Notes"

    def __init__(self, client: AsyncClient, drafts: Drafts, outbox: Outbox) -> None:
        self._client = client
        self._outbox = outbox
        self.element = stamp("notes")
        self._list = self.element.querySelector("ul")
        self._empty = self.element.querySelector(".empty")
        self._footer = self.element.querySelector(":scope > footer")
        self._trouble = self.element.querySelector(".trouble")
        self._alert = self._trouble.querySelector("[role=alert]")
        self._changes = 0
        form = self.element.querySelector("form")
        self._writing = Writing(form, drafts, outbox.post, lambda: self._arrived(None))
        self._waiting = WaitingNotes(
            self._list, self.element.querySelector(".said"), form.querySelector("textarea"), outbox
        )
        listen_async(self._footer.querySelector("button"), "click", lambda _: self._export())
        listen_async(self._trouble.querySelector("button"), "click", lambda _: self._load())
        listen_async(self._list, "click", self._clicked)
        client.on("signed_in", self._changed_hands)
        client.on("expired", lambda _: self._forget())
        client.on("signed_out", self._left)
        outbox.start(arrived=self._arrived, changed=self._show_waiting)

    def show(self, _: Mapping[str, str]) -> None:
        """Bring back the draft and fetch the notes."""
        self.element.querySelector("h1").focus()
        self._open()

    def _open(self) -> None:
        self._restore()
        self._outbox.flush()
        start(self._load())

    def _restore(self) -> None:
        user = self._client.user
        if user is not None:
            self._writing.restore(str(user["id"]))
        self._show_waiting()

    def _changed_hands(self) -> None:
        """Somebody signed in, perhaps in another tab, while this view is in sight."""
        self._forget()
        if self.element.isConnected:
            self._open()

    def _left(self, where: str) -> None:
        """Leave nothing on the screen; and no draft on the device if it was left on purpose."""
        self._forget()
        if where == "here":
            self._writing.leave()

    def _forget(self) -> None:
        self._waiting.clear()
        self._list.replaceChildren()

    async def _load(self) -> None:
        self._trouble.hidden = True
        with busy(self._list), told_in(self._alert):
            notes = await self._fetched()
            for item in self._list.querySelectorAll(SENT):
                item.remove()
            self._list.append(*map(_item, notes))
        self._tidy()

    async def _fetched(self) -> list[Mapping[str, Any]]:
        """The server's notes, of a moment that nothing here is newer than."""
        while True:
            before = self._changes
            response = (await self._client.get(PATH)).raise_for_status()
            if before == self._changes:
                notes: list[Mapping[str, Any]] = response.json()["notes"]
                return notes

    def _arrived(self, note: Mapping[str, Any] | None) -> None:
        """The server has one more note: this one, or one that another tab sent."""
        self._changes += 1
        if note is not None:
            item = _item(note)
            # Where an earlier answer was lost, the note may have been fetched already.
            for other in self._list.querySelectorAll(f"[data-id='{item.dataset.id}']"):
                other.remove()
            self._list.insertBefore(item, self._list.querySelector(SENT))
            self._tidy()
        elif self.element.isConnected and self._client.user is not None:
            start(self._load())

    def _show_waiting(self) -> None:
        self._waiting.draw()
        self._tidy()

    async def _clicked(self, js_event: Any) -> None:
        if button := js_event.target.closest(f"{SENT} button"):
            await self._delete(button.closest("li"), button)

    async def _delete(self, item: Any, button: Any) -> None:
        with busy(button), told_in(self._alert):
            response = await self._client.delete(f"{PATH}/{item.dataset.id}")
            if response.status_code != 404:  # noqa: PLR2004 - Gone already is as good.
                response.raise_for_status()
            self._changes += 1
            item.remove()
        self._tidy()

    async def _export(self) -> None:
        from views.notes.export import export  # noqa: PLC0415 - urllib is slow to import, and few export

        button, alert = self._footer.children
        with busy(button), told_in(alert):
            export(self._client, PATH)

    def _tidy(self) -> None:
        """Show what goes with the list as it now is."""
        troubled = bool(self._alert.textContent)
        self._trouble.hidden = not troubled
        self._empty.hidden = troubled or self._list.childElementCount > 0
        self._footer.hidden = self._list.childElementCount == 0


def _item(note: Mapping[str, Any]) -> Any:
    item = stamp("note")
    item.dataset.id = str(note["id"])
    item.querySelector("p").textContent = note["text"]
    item.querySelector("button").ariaLabel = tr("Delete note: {}", note["text"][:40])
    show_time(item.querySelector("time"), note["createdAt"])
    return item
