"""Where people sign in at a provider, for a program: in the system's browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from unexpired.desktop.loopback import Loopback, SyncLoopback
from unexpired.ports import MemoryPending, PendingStore, SignInPlace, SyncSignInPlace


class ProgramPlace:
    """A program that awaits."""

    def __init__(self) -> None:
        self.pending: PendingStore = MemoryPending()

    def window(self, redirect_uri: str, popup: bool | Callable[[str], object]) -> Loopback:  # noqa: FBT001 - as in sign_in
        """Return a window of the system's browser; see ``SignInPlace``.

        Args:
            redirect_uri: See ``Loopback.of``.
            popup: Shows the address in place of the browser, if it is a function.
        """
        if callable(popup):
            return Loopback.of(redirect_uri, open_browser=lambda _: False, show=popup)
        return Loopback.of(redirect_uri)

    def take_answer(self, redirect_uri: str) -> str | None:  # noqa: ARG002 - the port's
        """Return None: a program is not opened with an answer."""
        return None

    def show(self, url: str) -> None:
        """Do nothing: the program was never left."""

    def leave(self, url: str) -> None:
        """Do nothing: the provider's own session is the browser's, not this program's."""


class SyncProgramPlace:
    """A program that blocks."""

    def __init__(self) -> None:
        self.pending: PendingStore = MemoryPending()

    def window(self, redirect_uri: str) -> SyncLoopback:
        """Return a window of the system's browser; see ``SignInPlace``."""
        return SyncLoopback.of(redirect_uri)


if TYPE_CHECKING:
    _: type[SignInPlace] = ProgramPlace
    _sync: type[SyncSignInPlace] = SyncProgramPlace
