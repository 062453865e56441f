"""The button that signs the person out, once what they have written is sent."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from js import document, location

from unexpired import AsyncClient
from views.ui.dom import busy, is_busy, listen, listen_async

SEARCH = re.compile("%3Fq%3D[^&]*")
"""A search in the way back, as it is quoted in the address."""


class SignOut:
    """The button, and the question that it asks if something cannot be sent.

    Args:
        client: The client whose session ends.
        sign_in: The address to go to after a sign-out.
        send_all: Sends what waits, within a limit of time; returns what the person must know of
            the rest, if anything.
    """

    def __init__(
        self, client: AsyncClient, *, sign_in: str, send_all: Callable[[], Awaitable[str]]
    ) -> None:
        self._client = client
        self._sign_in = sign_in
        self._send_all = send_all
        self._button = document.getElementById("sign-out")
        self._dialog = document.getElementById("unsent")

    def start(self) -> None:
        """Follow the buttons, and leave for the sign-in view after a sign-out."""
        listen_async(self._button, "click", lambda _: self._send_and_sign_out())
        listen(self._action("stay"), "click", lambda _: self._dialog.close())
        listen_async(self._action("confirm"), "click", lambda _: self._sign_out())
        self._client.on("signed_out", self._on_signed_out)
        self._client.on("expired", lambda _: self._dialog.close())

    def _action(self, name: str) -> Any:
        return self._dialog.querySelector(f"[data-action={name}]")

    async def _send_and_sign_out(self) -> None:
        if is_busy(self._button):
            return
        with busy(self._button):
            if message := await self._send_all():
                self._dialog.querySelector("p").textContent = message
                self._dialog.showModal()
                return
            await self._client.sign_out()

    async def _sign_out(self) -> None:
        self._dialog.close()
        with busy(self._button):
            await self._client.sign_out()

    def _on_signed_out(self, where: str) -> None:
        self._dialog.close()
        # After a sign-out in another tab, the client itself has redirected, with a way back. That
        # may have what was searched for, and the next person to sign in may be another one.
        location.replace(self._sign_in if where == "here" else SEARCH.sub("", location.hash))
