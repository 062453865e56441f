"""What a person should hear of the session in whatever view they are, and is no reason to stop."""

import math

from js import document, setTimeout
from pyodide.ffi import create_once_callable

from unexpired import AsyncClient, EventName

RECONNECTING = "Reconnecting… You are still signed in, and what you write is kept."
CONNECTED = "Connected again."
ENDING = (
    "Your session ends in {} and cannot be renewed. What you write is kept: sign in again then."
)
GOOD_NEWS_MS = 5_000
OVER: tuple[EventName, ...] = ("signed_in", "signed_out", "expired")


class Notices:
    """One quiet line under the header, spoken politely.

    Args:
        client: Whose session it is about.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._line = document.getElementById("notice")

    def start(self) -> None:
        """Speak from now on."""
        self._client.on("degraded", lambda: self._say(RECONNECTING))
        self._client.on("recovered", self._recovered)
        self._client.on("expiring", lambda left: self._say(ENDING.format(_seconds(left))))
        for event in OVER:
            self._client.on(event, lambda *_: self._say(""))
        if self._client.state == "degraded":
            self._say(RECONNECTING)

    def _say(self, sentence: str) -> None:
        self._line.textContent = sentence

    def _recovered(self) -> None:
        self._say(CONNECTED)
        setTimeout(create_once_callable(self._fade), GOOD_NEWS_MS)

    def _fade(self) -> None:
        if self._line.textContent == CONNECTED:
            self._say("")


def _seconds(left: float) -> str:
    whole = math.ceil(left)
    return "1 second" if whole == 1 else f"{whole} seconds"
