"""The session in the header: the user, the state, and the time until the next refresh."""

from __future__ import annotations

import math
from typing import Any

from js import document, setInterval
from pyodide.ffi import create_proxy

from unexpired import AsyncClient, EventName
from views.ui.i18n import tr

TICK_MS = 500
LONG_SECONDS = 90
STATES = {
    "anonymous": "Signed out",
    "active": "Signed in",
    "refreshing": "Signed in",  # A refresh is no news.
    "degraded": "Reconnecting",
    "expired": "Session expired",
}
"""What the library's states are called for people."""
CHANGES: tuple[EventName, ...] = (
    "signed_in",
    "refreshed",
    "expired",
    "signed_out",
    "degraded",
    "recovered",
)


class SessionStatus:
    """The status region, and the user's name.

    Args:
        client: The client whose session is shown.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._state = document.querySelector("#session .state")
        self._countdown = document.querySelector("#session .countdown")
        self._ring = document.querySelector("#session .lifetime")
        self._username = document.getElementById("username")

    def start(self) -> None:
        """Show the session, and update it on each change and twice a second."""
        for event in CHANGES:
            self._client.on(event, lambda *_: self._update())
        setInterval(create_proxy(self._update), TICK_MS)
        self._update()

    def _update(self) -> None:
        user = self._client.user
        document.documentElement.dataset.state = self._client.state
        _set_text(self._username, str(user.get("username", "")) if user else "")
        _set_text(self._state, tr(STATES[self._client.state]))
        _set_text(self._countdown, self._next_event())
        # Where tokens are renewed, the style sheet shows it in Activity only.
        self._countdown.dataset.kind = "end" if self._client.refresh_in is None else "refresh"
        self._ring.setAttribute("stroke-dasharray", f"{100 * self._remaining_share():.1f} 100")

    def _next_event(self) -> str:
        """Return what happens next to the session, and when."""
        refresh_in, expires_in = self._client.refresh_in, self._client.expires_in
        if refresh_in is not None:
            degraded = self._client.state == "degraded"
            if degraded and not refresh_in:
                return ""  # It is being made.
            return tr("next attempt in {}" if degraded else "renews in {}", _duration(refresh_in))
        return "" if expires_in is None else tr("ends in {}", _duration(expires_in))

    def _remaining_share(self) -> float:
        """Return how much of the access token's lifetime remains, from 0 to 1."""
        lifetime = self._client.lifetime
        return min((self._client.expires_in or 0) / lifetime, 1) if lifetime else 0


def _duration(seconds: float) -> str:
    if seconds < LONG_SECONDS:
        return tr("{} s", math.ceil(seconds))
    return tr("{} min", math.ceil(seconds / 60))


def _set_text(element: Any, text: str) -> None:
    # A screen reader announces each write, even of the same text.
    if element.textContent != text:
        element.textContent = text
