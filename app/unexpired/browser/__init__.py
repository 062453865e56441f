"""The browser's side of the ports. Only the modules of this package touch JavaScript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import js

from unexpired.browser.fetch import FetchTransport
from unexpired.browser.lifecycle import attend, is_visible
from unexpired.browser.locks import open_lock
from unexpired.browser.navigation import BrowserNavigator
from unexpired.browser.storage import open_store

if TYPE_CHECKING:
    from unexpired.async_client import AsyncClient
    from unexpired.ports import SyncTransport, Transport
    from unexpired.sync_client import Client

    Built = TypeVar("Built", bound=AsyncClient)
    BuiltSync = TypeVar("BuiltSync", bound=Client)

__all__ = ["FetchTransport", "connect", "connect_sync", "open_lock"]


def connect(kind: type[Built], *, transport: Transport | None = None, **options: Any) -> Built:
    """Return a client of this kind on the page's fetch, storage and navigation.

    Args:
        kind: the class to build.
        transport: sends the requests, in place of the page's fetch.
        **options: see ``Options``.
    """
    key = options.get("storage_key", "unexpired")
    client = kind(
        transport or FetchTransport(),
        store=open_store(options.get("storage", "local"), key),
        lock=open_lock(f"{key}:refresh"),
        navigator=BrowserNavigator(),
        is_watched=is_visible,
        page_url=str(js.location.href),
        **options,
    )
    client.on_close(attend(client))
    return client


def connect_sync(
    kind: type[BuiltSync],
    *,
    session_of: AsyncClient | None = None,
    transport: SyncTransport | None = None,
    **options: Any,
) -> BuiltSync:
    """Return a sync client of this kind; see ``Client.in_browser``."""
    from unexpired.browser.jspi import JSPILock, JSPITransport  # noqa: PLC0415 - few pages block
    from unexpired.browser.xhr import XhrTransport  # noqa: PLC0415

    key = options.get("storage_key", "unexpired")
    awaits: Transport = FetchTransport()
    if session_of is not None:
        key, awaits = session_of._manager.options.storage_key, session_of.transport
    else:
        options |= {
            "store": open_store(options.get("storage", "local"), key),
            "navigator": BrowserNavigator(),
            "page_url": str(js.location.href),
        }
    return kind(
        transport or JSPITransport(awaits, otherwise=XhrTransport()),
        session_of=session_of,
        lock=JSPILock(open_lock(f"{key}:refresh")),
        **{"max_backoff": 0, **options},
    )
