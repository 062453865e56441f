"""Devices: where the person is signed in, and how to end it there."""

import asyncio
from collections.abc import Mapping
from typing import Any

from unexpired import AsyncClient
from views.devices.ip_address import place_of
from views.devices.user_agent import device_name
from views.ui.datetimes import show_age, show_time
from views.ui.dom import busy, listen, listen_async, stamp, start
from views.ui.error_messages import told_in
from views.ui.i18n import tr

PATH = "/api/sessions"


class Devices:
    """The devices view.

    Args:
        client: Fetches and revokes the sessions.
    """

    title = "Devices"

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self.element = stamp("devices")
        self._heading = self.element.querySelector("h1")
        self._list = self.element.querySelector("ul")
        self._said = self.element.querySelector(".said")
        self._trouble = self.element.querySelector(".trouble")
        self._alert = self._trouble.querySelector("[role=alert]")
        self._dialog = self.element.querySelector("dialog")
        listen_async(self._trouble.querySelector("button"), "click", lambda _: self._load())
        listen_async(self._list, "click", self._clicked)
        listen_async(self._button("others"), "click", lambda _: self._revoke_others())
        listen_async(self._button("confirm"), "click", lambda _: self._sign_out_everywhere())
        listen(self._button("everywhere"), "click", lambda _: self._dialog.showModal())
        listen(self._button("stay"), "click", lambda _: self._dialog.close())
        client.on("expired", lambda _: self._forget())
        client.on("signed_out", lambda _: self._forget())

    def show(self, _: Mapping[str, str]) -> None:
        """Fetch the sessions."""
        self._heading.focus()
        self._said.textContent = ""
        start(self._load())

    def _button(self, act: str) -> Any:
        return self.element.querySelector(f"[data-act={act}]")

    def _forget(self) -> None:
        """Leave nothing on the screen of a session that is over."""
        self._dialog.close()
        self._list.replaceChildren()

    async def _load(self) -> None:
        self._trouble.hidden = True
        with busy(self._list), told_in(self._alert):
            response = (await self._client.get(PATH)).raise_for_status()
            self._list.replaceChildren(*map(_item, response.json()["sessions"]))
        self._tidy()

    async def _clicked(self, js_event: Any) -> None:
        if button := js_event.target.closest("button"):
            item = button.closest("li")
            with busy(button), told_in(self._alert):
                await self._revoke(item)
                self._say(tr("{} is signed out.", _name(item)))
            self._tidy()

    async def _revoke_others(self) -> None:
        others = list(self._list.querySelectorAll("li:not([aria-current])"))
        with busy(self._button("others")), told_in(self._alert):
            await asyncio.gather(*map(self._revoke, others))
            self._say(tr("All other devices are signed out."))
        self._tidy()

    async def _revoke(self, item: Any) -> None:
        response = await self._client.delete(f"{PATH}/{item.dataset.id}")
        if response.status_code != 404:  # noqa: PLR2004 - Gone already is as good.
            response.raise_for_status()
        item.remove()

    async def _sign_out_everywhere(self) -> None:
        self._dialog.close()
        with busy(self._button("everywhere")), told_in(self._alert):
            (await self._client.post("/api/logout-all")).raise_for_status()
            await self._client.sign_out()
        self._tidy()

    def _say(self, sentence: str) -> None:
        self._said.textContent = sentence
        self._heading.focus()  # The button that was pressed is gone.

    def _tidy(self) -> None:
        """Show what goes with the list as it now is."""
        self._trouble.hidden = not self._alert.textContent
        self._button("others").disabled = (
            self._list.querySelectorAll("li:not([aria-current])").length == 0
        )


def _item(session: Mapping[str, Any]) -> Any:
    item = stamp("device")
    item.dataset.id = session["id"]
    item.querySelector(".device").textContent = device_name(session["device"] or "")
    show_age(item.querySelector(".used"), session["refreshedAt"])
    item.querySelector(".place").textContent = place_of(session["address"])
    show_time(item.querySelector(".created"), session["createdAt"])
    button = item.querySelector("button")
    if session["current"]:
        item.setAttribute("aria-current", "true")
        button.remove()
    else:
        item.querySelector("mark").remove()
        button.ariaLabel = tr("Revoke {}", _name(item))
    return item


def _name(item: Any) -> str:
    return str(item.querySelector(".device").textContent)
