"""Shows the links to what the server offers, and only those."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from js import URL, document, location, window

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

PROVIDER = "loginWith"
"""The member that names the provider that people may sign in with."""


DEMO = "demo"
"""The member with the user that everybody may sign in as, while the server is a demonstration."""


class Features:
    """Marks the document with what the server offers; the style sheet shows the links for it.

    A server of another kind does not know the call, so nothing is offered. The call needs no
    session and says nothing about one, so it is not among those that Activity records.

    Args:
        transport: Asks the server.
        base_url: The server's address; empty for the page's own.
        on_provider: Called with the name of a provider that people may sign in with.
        on_demo: Called with the name and the password of a demonstration's user.
    """

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        *,
        on_provider: Callable[[str], None],
        on_demo: Callable[[str, str], None],
    ) -> None:
        self._transport = transport
        self._on_provider = on_provider
        self._on_demo = on_demo
        self._url = f"{base_url.rstrip('/')}{PATH}"
        # From the provider people come back to the server's origin, and so to the page there.
        self._is_own_origin = URL.new(self._url, location.href).origin == location.origin
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
        if isinstance(offered, dict):
            self._show(offered)

    def _show(self, offered: Mapping[str, Any]) -> None:
        for name, mark in FEATURES.items():
            if offered.get(name) is True:
                document.documentElement.setAttribute(mark, "true")
        provider = offered.get(PROVIDER)
        if isinstance(provider, str) and self._is_own_origin:
            self._on_provider(provider)
        match offered.get(DEMO):
            case {"username": str(username), "password": str(password)}:
                self._on_demo(username, password)
