"""The session, in sight in every view: who is signed in, and for how long without a refresh."""

import math
from typing import Any

from js import document, location, setInterval
from pyodide.ffi import create_proxy

from unexpired import AsyncClient, EventName
from views.ui.dom import busy, listen_async
from views.ui.i18n import tr

TICK_MS = 500
CHANGES: tuple[EventName, ...] = (
    "signed_in",
    "refreshed",
    "expired",
    "signed_out",
    "degraded",
    "recovered",
)


class SessionStatus:
    """The status region, the user's name and the way out.

    Args:
        client: Whose session is shown.
        sign_in: The address to show after a sign-out.
    """

    def __init__(self, client: AsyncClient, *, sign_in: str) -> None:
        self._client = client
        self._sign_in = sign_in
        self._state = document.querySelector("#session .state")
        self._countdown = document.querySelector("#session .countdown")
        self._ring = document.querySelector("#session .life")
        self._username = document.getElementById("username")
        self._button = document.getElementById("sign-out")

    def start(self) -> None:
        """Show the session now, at each change, and as time goes by."""
        listen_async(self._button, "click", lambda _: self._sign_out())
        self._client.on("signed_out", self._left)
        for event in CHANGES:
            self._client.on(event, lambda *_: self._draw())
        setInterval(create_proxy(self._draw), TICK_MS)
        self._draw()

    async def _sign_out(self) -> None:
        with busy(self._button):
            await self._client.sign_out()

    def _left(self, where: str) -> None:
        if where == "here":  # From elsewhere, the client itself leads to the sign-in page.
            location.replace(self._sign_in)

    def _draw(self) -> None:
        user = self._client.user
        document.documentElement.dataset.state = self._client.state
        _write(self._username, str(user["username"]) if user else "")
        _write(self._state, tr(self._client.state))
        _write(self._countdown, self._outlook())
        self._ring.setAttribute("stroke-dasharray", f"{100 * self._life_left():.1f} 100")

    def _outlook(self) -> str:
        """What happens next, and in how many seconds."""
        until_refresh, until_end = self._client.refresh_in, self._client.expires_in
        if until_refresh is not None:
            degraded = self._client.state == "degraded"
            sentence = "trying again in {} s" if degraded else "next refresh in {} s"
            return tr(sentence, math.ceil(until_refresh))
        return "" if until_end is None else tr("ends in {} s", math.ceil(until_end))

    def _life_left(self) -> float:
        """The share of the access token's life that is left, 0 to 1."""
        lifetime = self._client.lifetime
        return min((self._client.expires_in or 0) / lifetime, 1) if lifetime else 0


def _write(element: Any, text: str) -> None:
    # Only real changes: a screen reader speaks each one.
    if element.textContent != text:
        element.textContent = text
