"""Notes: the list, and the form above it."""

from collections.abc import Mapping
from typing import Any

from unexpired import AsyncClient

from .dom import busy, listen_async, stamp, start
from .drafts import Drafts
from .times import show_time
from .troubles import told_in
from .writing import Writing

PATH = "/api/notes"


class Notes:
    """The notes view.

    Args:
        client: Fetches and sends the notes.
        drafts: Keeps the unsent one.
    """

    title = "Notes"

    def __init__(self, client: AsyncClient, drafts: Drafts) -> None:
        self._client = client
        self.element = stamp("notes")
        self._list = self.element.querySelector("ul")
        self._empty = self.element.querySelector(".empty")
        self._trouble = self.element.querySelector(".trouble")
        self._alert = self._trouble.querySelector("[role=alert]")
        self._writing = Writing(self.element.querySelector("form"), drafts, self._add)
        listen_async(self._trouble.querySelector("button"), "click", lambda _: self._load())
        listen_async(self._list, "click", self._clicked)
        client.on("signed_in", self._changed_hands)
        client.on("expired", lambda _: self._list.replaceChildren())
        client.on("signed_out", self._left)

    def show(self, _: Mapping[str, str]) -> None:
        """Bring back the draft and fetch the notes."""
        self.element.querySelector("h1").focus()
        self._open()

    def _open(self) -> None:
        user = self._client.user
        if user is not None:
            self._writing.restore(str(user["id"]))
        start(self._load())

    def _changed_hands(self) -> None:
        """Somebody signed in, perhaps in another tab, while this view is in sight."""
        self._list.replaceChildren()
        if self.element.isConnected:
            self._open()

    def _left(self, where: str) -> None:
        """Leave nothing on the screen; and nothing on the device if it was left on purpose."""
        self._list.replaceChildren()
        if where == "here":
            self._writing.clear()

    async def _load(self) -> None:
        self._trouble.hidden = True
        with busy(self._list), told_in(self._alert):
            response = (await self._client.get(PATH)).raise_for_status()
            self._list.replaceChildren(*map(_item, response.json()["notes"]))
        self._tidy()

    async def _add(self, text: str, key: str) -> None:
        headers = {"Idempotency-Key": key}
        response = await self._client.post(PATH, json={"text": text}, headers=headers)
        self._list.prepend(_item(response.raise_for_status().json()))
        self._tidy()

    async def _clicked(self, js_event: Any) -> None:
        if button := js_event.target.closest("button"):
            await self._delete(button.closest("li"), button)

    async def _delete(self, item: Any, button: Any) -> None:
        with busy(button), told_in(self._alert):
            response = await self._client.delete(f"{PATH}/{item.dataset.id}")
            if response.status_code != 404:  # noqa: PLR2004 - Gone already is as good.
                response.raise_for_status()
            item.remove()
        self._tidy()

    def _tidy(self) -> None:
        """Show what goes with the list as it now is."""
        troubled = bool(self._alert.textContent)
        self._trouble.hidden = not troubled
        self._empty.hidden = troubled or self._list.childElementCount > 0


def _item(note: Mapping[str, Any]) -> Any:
    item = stamp("note")
    item.dataset.id = str(note["id"])
    item.querySelector("p").textContent = note["text"]
    item.querySelector("button").ariaLabel = f"Delete note: {note['text'][:40]}"
    show_time(item.querySelector("time"), note["createdAt"])
    return item
