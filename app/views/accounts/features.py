"""Shows the links to what the server offers, and only those."""

from __future__ import annotations

from js import document, location, window

from unexpired import Request, Transport, UnexpiredError
from views.ui.dom import listen, start_task

PATH = "/api/features"
VIEWS = {"#/login", "#/devices"}
"""The views with links to what a server may offer."""
FEATURES = {
    "signUp": "data-sign-up",
    "passwordChange": "data-password-change",
    "passwordReset": "data-password-reset",
}
"""The members of the response, and what marks the document."""


class Features:
    """Marks the document with what the server offers; the style sheet shows the links for it.

    A server of another kind does not know the call, so nothing is offered. The call needs no
    session and says nothing about one, so it is not among those that Activity records.

    Args:
        transport: Asks the server.
        base_url: The server's address; empty for the page's own.
    """

    def __init__(self, transport: Transport, base_url: str) -> None:
        self._transport = transport
        self._url = f"{base_url.rstrip('/')}{PATH}"
        self._is_known = False

    def start(self) -> None:
        """Ask once a view with such links is shown, and again until there is a response."""
        listen(window, "hashchange", lambda _: start_task(self._ask()))
        start_task(self._ask())

    async def _ask(self) -> None:
        if self._is_known or location.hash.partition("?")[0] not in VIEWS:
            return
        try:
            response = await self._transport.send(Request("GET", self._url))
            offered = response.json() if response.is_success else {}
        except UnexpiredError:
            return
        self._is_known = True
        for name, mark in FEATURES.items():
            if isinstance(offered, dict) and offered.get(name) is True:
                document.documentElement.setAttribute(mark, "true")
