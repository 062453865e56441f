"""The Web Locks API as the refresh lock: one holder among all pages of an origin.

If a page is closed or crashes, the browser releases its lock, so other pages are not blocked. The
lock is never stolen: a holder that is only slow would otherwise refresh at the same time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import js
from pyodide.ffi import JsException, JsProxy, create_proxy, to_js

from unexpired.browser.host import js_global
from unexpired.errors import Unreachable
from unexpired.ports import LocalLock, RefreshLock

_log = logging.getLogger("unexpired")


class WebLock:
    """An exclusive Web Lock with this name (W3C Web Locks API)."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._local = LocalLock()
        self._denied: bool | None = None  # None: not known yet

    @property
    def is_shared(self) -> bool:
        """Whether holding it keeps other tabs from refreshing."""
        return not self._denied

    async def _is_denied(self) -> bool:
        """Return whether the browser has Web Locks and denies them, as where storage is blocked."""
        if self._denied is None:
            try:
                await js.navigator.locks.query()
            except JsException as error:
                _log.warning("Web Locks cannot be used (%s): each tab has its own", error.name)
                self._denied = True
            else:
                self._denied = False
        return self._denied

    @asynccontextmanager
    async def hold(self, timeout: float) -> AsyncIterator[None]:  # noqa: ASYNC109 - the port's contract
        """Hold the lock; see ``RefreshLock``."""
        if await self._is_denied():
            async with self._local.hold(timeout):
                yield
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        request = asyncio.ensure_future(self._request(granted, released, timeout))
        try:
            await asyncio.wait({request, granted}, return_when=asyncio.FIRST_COMPLETED)
            if not granted.done():
                raise Unreachable
            yield
        finally:
            if not released.done():
                released.set_result(None)

    async def _request(
        self, granted: asyncio.Future[None], released: asyncio.Future[None], seconds: float
    ) -> None:
        """Request the lock for this many seconds, and keep it until it is released."""

        async def while_held(_js_lock: Any) -> None:
            if not released.done():  # Else the caller was cancelled while it waited.
                granted.set_result(None)
                await released

        js_signal = js.AbortSignal.timeout(int(seconds * 1000))
        options = to_js({"signal": js_signal}, dict_converter=js.Object.fromEntries)
        callback = create_proxy(while_held)
        try:
            await js.navigator.locks.request(self._name, options, callback)
        except JsException:
            return  # The signal came first: the lock was not granted.
        finally:
            callback.destroy()


def open_lock(name: str) -> RefreshLock:
    """Return a Web Lock, or a lock of this page where there are none: insecure contexts, Node.js.

    Without Web Locks tabs agree on one attempt, and the server gives all of them the same result.
    """
    js_navigator = js_global("navigator")
    has_locks = isinstance(getattr(js_navigator, "locks", None), JsProxy)
    return WebLock(name) if has_locks else LocalLock()


if TYPE_CHECKING:
    _: type[RefreshLock] = WebLock
