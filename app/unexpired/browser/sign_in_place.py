"""Where people sign in at a provider, for a page and for a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import js

from unexpired.browser.host import has_document
from unexpired.browser.navigation import BrowserNavigator
from unexpired.browser.windows import (
    LinkWindow,
    PageWindow,
    PopupWindow,
    SessionStoragePending,
)
from unexpired.oidc.authorization import cleaned, is_answer
from unexpired.ports import MemoryPending, PendingStore, SignInPlace, SignInWindow


class PagePlace:
    """A page, which leaves for the provider and is opened again with its answer.

    Args:
        storage_key: What the names of its entries in ``sessionStorage`` begin with.
    """

    def __init__(self, storage_key: str) -> None:
        self.pending: PendingStore = SessionStoragePending(storage_key)
        self._navigator = BrowserNavigator()

    def window(self, redirect_uri: str, popup: bool | Callable[[str], object]) -> SignInWindow:  # noqa: FBT001 - as in sign_in
        """Return the page itself or a pop-up; see ``SignInPlace``."""
        if callable(popup):
            return LinkWindow(redirect_uri, popup)
        return PopupWindow(redirect_uri) if popup else PageWindow(redirect_uri)

    def take_answer(self, redirect_uri: str) -> str | None:
        """Return the answer that the page was opened with, and take it out of the address bar."""
        href = str(js.location.href)
        if not is_answer(href, redirect_uri):
            return None
        self._navigator.replace(cleaned(href))
        return href

    def show(self, url: str) -> None:
        """Show where the person was; the same address is shown already, and is not loaded again."""
        if url != self._navigator.here():
            self._navigator.show(url)

    def leave(self, url: str) -> None:
        """Leave for a page of the provider's."""
        self._navigator.go(url)


class WorkerPlace:
    """A worker or a notebook's kernel, which can show nothing by itself."""

    def __init__(self) -> None:
        self.pending: PendingStore = MemoryPending()

    def window(self, redirect_uri: str, popup: bool | Callable[[str], object]) -> SignInWindow:  # noqa: FBT001 - as in sign_in
        """Return what waits for the answer to a link; see ``SignInPlace``.

        Raises:
            TypeError: If nothing shows the link.
        """
        if not callable(popup):
            raise TypeError(
                "sign_in: a worker can open no page: give popup=, a function that shows the"
                " address it is called with as a link, or device="
            )
        return LinkWindow(redirect_uri, popup)

    def take_answer(self, redirect_uri: str) -> str | None:  # noqa: ARG002 - the port's
        """Return None: a worker's address is its script's."""
        return None

    def show(self, url: str) -> None:
        """Do nothing."""

    def leave(self, url: str) -> None:
        """Do nothing: the provider's own session stays."""


def sign_in_place(storage_key: str) -> SignInPlace:
    """Return the page, or what a worker has in its place."""
    return PagePlace(storage_key) if has_document() else WorkerPlace()


if TYPE_CHECKING:
    _: tuple[type[SignInPlace], ...] = (PagePlace, WorkerPlace)
