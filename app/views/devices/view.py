"""Devices: lists the person's sessions and revokes them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from unexpired import AsyncClient
from views.devices.ip_address import describe_address
from views.devices.user_agent import device_name
from views.ui.datetimes import show_age, show_time
from views.ui.dom import busy, clone_template, listen, listen_async, start_task
from views.ui.error_messages import errors_shown_in
from views.ui.i18n import tr

PATH = "/api/sessions"
OTHER_DEVICES = "li:not([aria-current])"
BOUND = "Bound to its browser"
UNBOUND = "Not bound to its browser"


class Devices:
    """The Devices view.

    Args:
        client: Fetches and revokes the sessions.
    """

    title = "Devices"

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self.element = clone_template("devices")
        self._heading = self.element.querySelector("h1")
        self._list = self.element.querySelector("ul")
        self._result = self.element.querySelector(".result")
        self._error = self.element.querySelector(".error")
        self._alert = self._error.querySelector("[role=alert]")
        self._dialog = self.element.querySelector("dialog")
        listen_async(self._error.querySelector("button"), "click", lambda _: self._load())
        listen_async(self._list, "click", self._on_list_click)
        listen_async(self._button("others"), "click", lambda _: self._revoke_others())
        listen_async(self._button("confirm"), "click", lambda _: self._sign_out_everywhere())
        listen(self._button("everywhere"), "click", lambda _: self._dialog.showModal())
        listen(self._button("stay"), "click", lambda _: self._dialog.close())
        client.on("expired", lambda _: self._clear())
        client.on("signed_out", lambda _: self._clear())

    def show(self, _: Mapping[str, str]) -> None:
        """Fetch the sessions."""
        self._heading.focus()
        self._result.textContent = ""
        is_from_provider = "loginWith" in (self._client.user or {})
        self.element.querySelector("[data-feature=password-change]").hidden = is_from_provider
        start_task(self._load())

    def _button(self, action: str) -> Any:
        return self.element.querySelector(f"[data-action={action}]")

    def _clear(self) -> None:
        """Remove what the ended session showed."""
        self._dialog.close()
        self._list.replaceChildren()

    async def _load(self) -> None:
        self._error.hidden = True
        with busy(self._list), errors_shown_in(self._alert):
            response = (await self._client.get(PATH)).raise_for_status()
            self._list.replaceChildren(*map(_item, response.json()["sessions"]))
        self._update_controls()

    async def _on_list_click(self, js_event: Any) -> None:
        if button := js_event.target.closest("button"):
            item = button.closest("li")
            with busy(button), errors_shown_in(self._alert):
                await self._revoke(item)
                self._show_result(tr("{} is signed out.", _name(item)))
            self._update_controls()

    async def _revoke_others(self) -> None:
        others = list(self._list.querySelectorAll(OTHER_DEVICES))
        with busy(self._button("others")), errors_shown_in(self._alert):
            await asyncio.gather(*map(self._revoke, others))
            self._show_result(tr("All other devices are signed out."))
        self._update_controls()

    async def _revoke(self, item: Any) -> None:
        response = await self._client.delete(f"{PATH}/{item.dataset.id}")
        if response.status_code != 404:  # noqa: PLR2004 - The session has already ended.
            response.raise_for_status()
        item.remove()

    async def _sign_out_everywhere(self) -> None:
        self._dialog.close()
        with busy(self._button("everywhere")), errors_shown_in(self._alert):
            (await self._client.post("/api/logout-all")).raise_for_status()
            await self._client.sign_out()
        self._update_controls()

    def _show_result(self, message: str) -> None:
        self._result.textContent = message
        self._heading.focus()  # The button that had the focus is gone.

    def _update_controls(self) -> None:
        """Show or hide the error, and disable what needs another device."""
        self._error.hidden = not self._alert.textContent
        others = self._list.querySelectorAll(OTHER_DEVICES)
        self._button("others").disabled = others.length == 0


def _item(session: Mapping[str, Any]) -> Any:
    item = clone_template("device")
    item.dataset.id = session["id"]
    item.querySelector(".device").textContent = device_name(session["device"] or "")
    show_age(item.querySelector(".used"), session["refreshedAt"])
    item.querySelector(".address").textContent = describe_address(session["address"])
    show_time(item.querySelector(".created"), session["createdAt"])
    _show_binding(item.querySelector(".binding"), is_bound=session.get("bound", False))
    button = item.querySelector("button")
    if session["current"]:
        item.setAttribute("aria-current", "true")
        button.remove()
    else:
        item.querySelector("mark").remove()
        button.ariaLabel = tr("Revoke {}", _name(item))
    return item


def _show_binding(element: Any, *, is_bound: bool) -> None:
    element.dataset.bound = str(is_bound).lower()
    element.textContent = tr(BOUND if is_bound else UNBOUND)


def _name(item: Any) -> str:
    return str(item.querySelector(".device").textContent)
