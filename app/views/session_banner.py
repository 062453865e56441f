"""What a person should hear of the session in whatever view they are, and is no reason to stop."""

import math
import time
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

from js import document, location, setInterval, setTimeout
from pyodide.ffi import create_once_callable, create_proxy

from unexpired import AsyncClient, EventName, Unreachable
from views.ui.dom import busy, is_busy, listen_async
from views.ui.error_messages import SESSION_IS_OVER
from views.ui.i18n import counted, tr

RECONNECTING = "Reconnecting… You are still signed in, and what you write is kept."
STILL_AWAY = "Still no answer. You stay signed in, and it is tried again by itself."
PATIENCE = "The server asks to be left alone for {}. You stay signed in until then."
CONNECTED = "Connected again."
ENDING = "Your session ends in {} and cannot be renewed. What you write is kept."
STAY, AGAIN = "Stay signed in", "Sign in again"
GOOD_NEWS_MS, TICK_MS = 5_000, 500
A_MOMENT = 0.1  # s
AGAIN_QUERY = "again=1"  # Whoever is signed in and comes to sign in all the same.
SPOKEN = {30, 10}  # s before the end; the seconds between are for the eyes alone
Act = Callable[[], Coroutine[Any, Any, None]]
OVER: tuple[EventName, ...] = ("signed_in", "signed_out", "expired")


class Notices:
    """One quiet line under the header, spoken politely, with what can be done about it.

    Args:
        client: Whose session it is about.
        sign_in: The address to sign in at.
    """

    def __init__(self, client: AsyncClient, *, sign_in: str) -> None:
        self._client = client
        self._sign_in = sign_in
        self._line = document.querySelector("#notice p")
        self._button = document.querySelector("#notice button")
        self._act: Act = self._stay
        self._ends_at: float | None = None  # by the monotonic clock, once it is announced

    def start(self) -> None:
        """Speak from now on."""
        listen_async(self._button, "click", lambda _: self._act())
        self._client.on("degraded", self._degraded)
        self._client.on("recovered", self._recovered)
        self._client.on("expiring", self._expiring)
        for event in OVER:
            self._client.on(event, lambda *_: self._clear())
        setInterval(create_proxy(self._tick), TICK_MS)
        if self._client.state == "degraded":
            self._degraded()

    # -- No answer -----------------------------------------------------------------------------

    def _degraded(self) -> None:
        self._say(tr(RECONNECTING))
        self._offer(STAY, self._stay)

    async def _stay(self) -> None:
        """Try at once, and say what came of it; what goes well is an event."""
        if is_busy(self._button):
            return
        if wait := self._asked_to_wait():
            self._say(tr(PATIENCE, _seconds(wait)))
            return
        with busy(self._button):
            try:
                await self._client.refresh()
            except Unreachable:
                self._say(tr(STILL_AWAY))
            except SESSION_IS_OVER:
                return  # Refused: its end is announced, or it has ended and the sign-in says why.

    def _asked_to_wait(self) -> float:
        """For how many seconds the server wants no refresh; our own pause a person may cut."""
        self._client.wake(resume=True)
        facts = self._client.diagnose()
        if facts["refresh_in"] is None or facts["lifetime"] is None:
            return 0
        due_in = facts["expires_in"] - min(facts["margin"], facts["lifetime"] / 4)
        return float(facts["refresh_in"]) if facts["refresh_in"] > due_in + A_MOMENT else 0

    def _recovered(self) -> None:
        self._clear()
        self._say(tr(CONNECTED))
        setTimeout(create_once_callable(self._fade), GOOD_NEWS_MS)

    def _fade(self) -> None:
        if self._line.textContent == tr(CONNECTED):
            self._clear()

    # -- A near end ----------------------------------------------------------------------------

    def _expiring(self, left: float) -> None:
        self._ends_at = time.monotonic() + left
        self._say(tr(ENDING, _seconds(left)))
        self._offer(AGAIN, self._again)

    async def _again(self) -> None:
        here = quote(f"{location.pathname}{location.search}{location.hash}", safe="")
        location.hash = f"{self._sign_in}?{AGAIN_QUERY}&next={here}"

    def _tick(self) -> None:
        if self._ends_at is not None:
            left = math.ceil(max(self._ends_at - time.monotonic(), 0))
            self._say(tr(ENDING, _seconds(left)), aloud=left in SPOKEN)
            self._button.hidden = location.hash.startswith(self._sign_in)

    # -- How -----------------------------------------------------------------------------------

    def _say(self, sentence: str, *, aloud: bool = True) -> None:
        if self._line.textContent != sentence:
            self._line.setAttribute("aria-live", "polite" if aloud else "off")
            self._line.textContent = sentence

    def _offer(self, words: str, act: Act) -> None:
        self._button.textContent, self._act = tr(words), act
        self._button.hidden = False

    def _withdraw(self) -> None:
        """Take the button away; who has the focus on it goes on at the view's heading."""
        if document.activeElement == self._button:
            document.querySelector("#view h1").focus()
        self._button.hidden = True

    def _clear(self) -> None:
        self._ends_at = None
        self._withdraw()
        self._say("")


def _seconds(left: float) -> str:
    return counted(math.ceil(left), "1 second", "{} seconds")
