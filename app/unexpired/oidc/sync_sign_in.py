"""Signing in at a provider, for the client that blocks: a program."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, cast

from unexpired.oidc.authorization import Asked
from unexpired.oidc.device import Device, DevicePrompt
from unexpired.oidc.flows import ProviderFlows
from unexpired.oidc.provider_server import ProviderServer
from unexpired.options import is_coroutine_function
from unexpired.ports import SyncSignInPlace
from unexpired.session_manager import SessionManager, new_session_name


class SyncProviderSignIn:
    """Signs the person of one program in at its provider.

    Args:
        manager: The session of the client.
        place: Opens the browser.
        drive: Performs the steps of a flow.
        call: Performs those of one that needs the session.
        new_key: Makes a key to bind a session to.
    """

    def __init__(
        self,
        manager: SessionManager,
        place: SyncSignInPlace,
        *,
        drive: Callable[[Generator[Any, Any, Any]], None],
        call: Callable[[Generator[Any, Any, Any]], None],
        new_key: Callable[[], str | None],
    ) -> None:
        self._manager = manager
        self._place = place
        self._drive = drive
        self._call = call
        self._new_key = new_key
        server = cast("ProviderServer", manager.policy.server)
        self._flows = ProviderFlows(manager.policy, server, place.pending)

    def sign_in(
        self,
        *,
        hint: str = "",
        prompt: str = "",
        max_age: int | None = None,
        device: Callable[[DevicePrompt], object] | None = None,
    ) -> None:
        """Sign in at the provider; see ``AsyncClient.sign_in``."""
        if device is not None:
            self._sign_in_by_device(device)
            return
        self._drive(self._flows.discover())
        window = self._place.window(self._flows.redirect_uri())
        try:
            asked = Asked(hint=hint, prompt=prompt, max_age=max_age)
            uri = window.redirect_uri
            answer = window.visit(self._flows.begin(asked, redirect_uri=uri))
        finally:
            window.close()
        pending = self._flows.take(answer)
        self._drive(self._flows.redeem(answer, pending, new_session_name(), self._key()))

    def _sign_in_by_device(self, show: Callable[[DevicePrompt], object]) -> None:
        if is_coroutine_function(show):
            raise TypeError("device: Client cannot await a function; use AsyncClient")
        found: list[Device] = []
        self._drive(self._flows.begin_at_device(found.append))
        show(found[0].prompt)
        self._drive(self._flows.sign_in_by_device(found[0], new_session_name(), self._key()))

    def _key(self) -> str | None:
        return self._new_key() if self._manager.options.sends_proofs else None

    def userinfo(self) -> Mapping[str, Any]:
        """Return what the provider knows of the user; see ``AsyncClient.userinfo``."""
        found: dict[str, Any] = {}
        self._call(self._flows.userinfo(found.update))
        return found
