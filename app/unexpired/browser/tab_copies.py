"""Recognises a tab that is a copy of another one, which has copied its session as well.

``window.open`` and "Duplicate tab" copy ``sessionStorage`` (WHATWG Storage: "legacy-clone a
traversable storage shed"). If both tabs used the session, each would refresh it, and the server
would take the second use of a refresh token for theft and revoke the session for both. So the
session stays the original's, and the copy starts signed out.

A page marks its ``sessionStorage`` and removes the mark when it is left. So a page that finds one
is a copy, or the page before it in the same tab has crashed (or the browser, such as Firefox, was
late to remove the mark). The original holds a Web Lock as long as it lives: that tells them apart.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from pyodide.code import run_js

if TYPE_CHECKING:
    from unexpired.ports import PreloadedStore, TokenStore

RELEASE_TIMEOUT_MS = 1000
"""How long a page that has just been left may take to release its lock."""

# In JavaScript, because a page may be left while Python is busy, or no longer runs. Without Web
# Locks a doubtful tab counts as a copy: after a crash, the person signs in again.
_TAB = """
(storage, mark, timeout) => {
  let name = storage.getItem(mark);
  let release = () => {};
  const hold = async (options) => {
    try {
      return await new Promise((granted, denied) => {
        const untilLeft = () => {
          granted(true);
          return new Promise((left) => { release = left; });
        };
        navigator.locks.request(`${mark}:${name}`, options, untilLeft).catch(denied);
      });
    } catch {
      return false;
    }
  };
  const show = () => {
    try { storage.setItem(mark, name); } catch {}  // It is full; then the mark is not copied.
    hold({});
  };
  const tab = {
    isDoubtful: name !== null,
    settle(newName) {
      name = newName;
      tab.isDoubtful = false;
      show();
    },
    async isCopy() {
      if (await hold({ signal: AbortSignal.timeout(timeout) })) tab.isDoubtful = false;
      return tab.isDoubtful;
    },
  };
  addEventListener("pagehide", () => {
    if (tab.isDoubtful) return;  // The mark is still another's.
    storage.removeItem(mark);
    release();
  });
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted && !tab.isDoubtful) show();  // It is back from the back-forward cache.
  });
  return tab;
}
"""

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
    """

    def __init__(self, js_storage: Any, key: str) -> None:
        self._js_tab = run_js(_TAB)(js_storage, f"{key}:tab", RELEASE_TIMEOUT_MS)
        self._decision: asyncio.Task[bool] | None = None
        if not self.is_doubtful:
            self._js_tab.settle(secrets.token_hex(8))

    @property
    def is_doubtful(self) -> bool:
        """Whether this may be a copy."""
        return bool(self._js_tab.isDoubtful)

    def settle(self) -> None:
        """Take what is stored from now on for this tab's own, under a new name."""
        if self.is_doubtful:
            self._js_tab.settle(secrets.token_hex(8))

    async def is_copy(self) -> bool:
        """Return whether another tab is alive that has this name; else it is this tab's own."""
        if self._decision is None:
            self._decision = asyncio.ensure_future(self._decide())
        return await asyncio.shield(self._decision)

    async def _decide(self) -> bool:
        return bool(await self._js_tab.isCopy())


def of_this_tab(store: TokenStore, js_storage: Any, key: str) -> TokenStore:
    """Return the store for this tab only; a frame shares the storage of the page around it."""
    if not run_js("self === self.top"):  # As a proxy, the window of another origin would throw.
        return store
    if key not in _tabs:
        _tabs[key] = Tab(js_storage, key)
    return TabStore(store, _tabs[key])


if TYPE_CHECKING:
    _: type[PreloadedStore] = TabStore
