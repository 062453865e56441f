"""The line below the header: an outage, or the end of a session that cannot be renewed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

from js import document, location, setInterval, setTimeout
from pyodide.ffi import create_once_callable, create_proxy

from unexpired import AsyncClient, EventName, Unreachable
from views.ui.dom import busy, is_busy, listen_async
from views.ui.error_messages import SESSION_OVER
from views.ui.i18n import tr, tr_plural

RECONNECTING = "Reconnecting… You are still signed in, and what you write is kept."
STILL_OFFLINE = "Still offline. You stay signed in; retrying automatically."
SERVER_BUSY = "The server is busy. Retrying in {}. You stay signed in."
CONNECTED = "Connected again."
ENDING = "Your session ends in {} and cannot be renewed. What you write is kept."
TRY_NOW, SIGN_IN_AGAIN = "Try again now", "Sign in again"
CONNECTED_MS, TICK_MS = 5_000, 500
AGAIN_QUERY = "again=1"  # Shows the sign-in view although the session has not ended yet.
ANNOUNCED = {30, 10}  # s before the end; a screen reader skips the seconds in between
Action = Callable[[], Coroutine[Any, Any, None]]
OVER: tuple[EventName, ...] = ("signed_in", "signed_out", "expired")


class SessionBanner:
    """A status line with one button for what the person can do about it.

    Args:
        client: The client whose session is shown.
        sign_in: The address of the sign-in view.
    """

    def __init__(self, client: AsyncClient, *, sign_in: str) -> None:
        self._client = client
        self._sign_in = sign_in
        self._line = document.querySelector("#session-banner p")
        self._button = document.querySelector("#session-banner button")
        self._action: Action = self._try_now
        self._ends_at: float | None = None  # in monotonic seconds, once it is announced

    def start(self) -> None:
        """Show the session's events from now on."""
        listen_async(self._button, "click", lambda _: self._action())
        self._client.on("degraded", self._on_degraded)
        self._client.on("recovered", self._on_recovered)
        self._client.on("expiring", self._on_expiring)
        for event in OVER:
            self._client.on(event, lambda *_: self._clear())
        setInterval(create_proxy(self._tick), TICK_MS)
        if self._client.state == "degraded":
            self._on_degraded()

    # -- An outage -----------------------------------------------------------------------------

    def _on_degraded(self) -> None:
        self._show(tr(RECONNECTING))
        self._offer(TRY_NOW, self._try_now)

    async def _try_now(self) -> None:
        """Refresh now, unless the server asked to wait; success is shown by its event."""
        if is_busy(self._button):
            return
        self._client.wake(resume=True)
        if wait := self._client.retry_after:
            self._show(tr(SERVER_BUSY, _seconds(wait)))
            return
        with busy(self._button):
            try:
                await self._client.refresh()
            except Unreachable:
                self._show(tr(STILL_OFFLINE))
            except SESSION_OVER:
                return  # An event has announced the end, or the sign-in view shows the reason.

    def _on_recovered(self) -> None:
        self._clear()
        self._show(tr(CONNECTED))
        setTimeout(create_once_callable(self._hide_connected), CONNECTED_MS)

    def _hide_connected(self) -> None:
        if self._line.textContent == tr(CONNECTED):
            self._clear()

    # -- The end of the session ----------------------------------------------------------------

    def _on_expiring(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._show(tr(ENDING, _seconds(seconds)))
        self._offer(SIGN_IN_AGAIN, self._sign_in_again)

    async def _sign_in_again(self) -> None:
        here = quote(f"{location.pathname}{location.search}{location.hash}", safe="")
        location.hash = f"{self._sign_in}?{AGAIN_QUERY}&next={here}"

    def _tick(self) -> None:
        if self._ends_at is not None:
            left = math.ceil(max(self._ends_at - time.monotonic(), 0))
            self._show(tr(ENDING, _seconds(left)), announce=left in ANNOUNCED)
            self._button.hidden = location.hash.startswith(self._sign_in)

    # -- The line and its button ---------------------------------------------------------------

    def _show(self, message: str, *, announce: bool = True) -> None:
        if self._line.textContent != message:
            self._line.setAttribute("aria-live", "polite" if announce else "off")
            self._line.textContent = message

    def _offer(self, label: str, action: Action) -> None:
        self._button.textContent, self._action = tr(label), action
        self._button.hidden = False

    def _hide_button(self) -> None:
        """Hide the button; if it has the focus, move that to the view's heading."""
        if document.activeElement == self._button:
            document.querySelector("#view h1").focus()
        self._button.hidden = True

    def _clear(self) -> None:
        self._ends_at = None
        self._hide_button()
        self._show("")


def _seconds(seconds: float) -> str:
    return tr_plural(math.ceil(seconds), "1 second", "{} seconds")
