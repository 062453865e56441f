"""Shows the links to what the server offers, and only those."""

from __future__ import annotations

from js import document, window

from unexpired import AsyncClient, UnexpiredError
from views.ui.dom import listen, start_task

PATH = "/api/features"
FEATURES = {
    "signUp": "data-sign-up",
    "passwordChange": "data-password-change",
    "passwordReset": "data-password-reset",
}
"""The members of the response, and what marks the document."""


class Features:
    """Marks the document with what the server offers; the style sheet shows the links for it.

    A server of another kind does not know the call, so nothing is offered.

    Args:
        client: Asks the server.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._is_known = False

    def start(self) -> None:
        """Ask now, and with each change of the view until there is an answer."""
        listen(window, "hashchange", lambda _: start_task(self._ask()))
        start_task(self._ask())

    async def _ask(self) -> None:
        if self._is_known:
            return
        try:
            response = await self._client.get(PATH, auth=False)
            offered = response.json() if response.is_success else {}
        except UnexpiredError:
            return
        self._is_known = True
        for name, mark in FEATURES.items():
            if offered.get(name) is True:
                document.documentElement.setAttribute(mark, "true")
