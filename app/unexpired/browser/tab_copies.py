"""Recognises a tab that is a copy of another one, which has copied its session as well.

``window.open`` and "Duplicate tab" copy ``sessionStorage`` (WHATWG Storage: "legacy-clone a
traversable storage shed"). If both tabs used the session, each would refresh it, and the server
would take the second use of a refresh token for theft and revoke the session for both. So the
session stays the original's, and the copy starts signed out.

A page marks its ``sessionStorage`` and removes the mark when it is left. So a page that finds one
is a copy, or the page before it in the same tab has crashed. The original holds a Web Lock as long
as it lives, which tells the two apart.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import js
from pyodide.code import run_js
from pyodide.ffi import JsException, create_once_callable, create_proxy, to_js

if TYPE_CHECKING:
    from unexpired.ports import PreloadedStore, TokenStore

_tabs: dict[str, Tab] = {}
"""This tab, for each storage key: the clients of one page are not each other's copies."""


class TabStore:
    """A store in ``sessionStorage`` whose session is used by one tab only.

    Args:
        store: Stores the text in this tab's ``sessionStorage``.
        tab: This tab.
    """

    def __init__(self, store: TokenStore, tab: Tab) -> None:
        self._store = store
        self._tab = tab

    def load(self) -> str | None:
        """Return the stored text, or None; also as long as it may be another tab's."""
        return None if self._tab.is_doubtful else self._store.load()

    def save(self, text: str) -> None:
        """Replace the stored text; it is this tab's own."""
        self._tab.settle()
        self._store.save(text)

    def clear(self) -> None:
        """Remove the stored text."""
        self._store.clear()

    async def preload(self) -> None:
        """Find out whether this tab is a copy; if it is, remove the text that was copied."""
        if self._tab.is_doubtful and await self._tab.is_copy():
            self._store.clear()
            self._tab.settle()


class Tab:
    """This tab's claim to its ``sessionStorage``.

    Args:
        js_storage: The ``sessionStorage``.
        key: The storage key of the session.

    Attributes:
        is_doubtful: Whether this may be a copy.
    """

    def __init__(self, js_storage: Any, key: str) -> None:
        self._js_storage = js_storage
        self._mark = f"{key}:tab"
        found = js_storage.getItem(self._mark)
        self.is_doubtful = isinstance(found, str)
        self._name = found if isinstance(found, str) else ""
        self._decision: asyncio.Task[bool] | None = None
        self._js_release: Any = None
        self._claims: set[asyncio.Task[bool]] = set()
        if not self.is_doubtful:
            self.settle()
        js.addEventListener("pagehide", create_proxy(lambda _: self._leave()))
        js.addEventListener("pageshow", create_proxy(self._return))

    def settle(self) -> None:
        """Take what is stored from now on for this tab's own, under a new name."""
        if self._name and not self.is_doubtful:
            return
        self.is_doubtful = False
        self._name = secrets.token_hex(8)
        self._show()

    async def is_copy(self) -> bool:
        """Return whether another tab is alive that has this name; else it is this tab's own."""
        if self._decision is None:
            self._decision = asyncio.ensure_future(self._decide())
        return await asyncio.shield(self._decision)

    async def _decide(self) -> bool:
        is_free = await self._claim()
        if is_free:
            self.is_doubtful = False
        return not is_free

    def _show(self) -> None:
        """Mark the storage, and hold the lock."""
        with suppress(JsException):  # It is full; then it is not copied with the mark.
            self._js_storage.setItem(self._mark, self._name)
        claim = asyncio.ensure_future(self._claim())
        self._claims.add(claim)
        claim.add_done_callback(self._claims.discard)

    def _leave(self) -> None:
        if self.is_doubtful:
            return  # The mark is still another's.
        self._js_storage.removeItem(self._mark)
        if self._js_release is not None:
            self._js_release()

    def _return(self, js_event: Any) -> None:
        if js_event.persisted and not self.is_doubtful:  # From the back-forward cache.
            self._show()

    async def _claim(self) -> bool:
        """Hold the lock of this tab's name until the page is left; return whether it was free.

        Without Web Locks it counts as taken: after a crash, the person signs in again.
        """
        granted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def answer(js_lock: Any) -> Any:
            granted.set_result(bool(js_lock))
            return self._js_left() if js_lock else None

        callback = create_once_callable(answer)
        options = to_js({"ifAvailable": True}, dict_converter=js.Object.fromEntries)
        try:
            request = js.navigator.locks.request(f"{self._mark}:{self._name}", options, callback)
            released = asyncio.ensure_future(request)
            await asyncio.wait({granted, released}, return_when=asyncio.FIRST_COMPLETED)
            if not granted.done():
                await released  # It was denied.
        except (JsException, AttributeError):
            return False
        return await granted

    def _js_left(self) -> Any:
        """Return a promise that the page will be left."""
        resolvers: list[Any] = []
        js_promise = js.Promise.new(create_once_callable(lambda *both: resolvers.extend(both)))
        self._js_release = resolvers[0]
        return js_promise


def of_this_tab(store: TokenStore, js_storage: Any, key: str) -> TokenStore:
    """Return the store for this tab only; a frame shares the storage of the page around it."""
    if not run_js("self === self.top"):  # As a proxy, the window of another origin would throw.
        return store
    if key not in _tabs:
        _tabs[key] = Tab(js_storage, key)
    return TabStore(store, _tabs[key])


if TYPE_CHECKING:
    _: type[PreloadedStore] = TabStore
