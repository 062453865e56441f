"""Browser implementations of the ports. Only the modules of this package touch JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import js

from unexpired.browser.fetch import FetchTransport
from unexpired.browser.lifecycle import Wakeable, is_visible, wake_on_events
from unexpired.browser.locks import open_lock
from unexpired.browser.navigation import BrowserNavigator
from unexpired.browser.storage import open_store

if TYPE_CHECKING:
    from unexpired.ports import SyncTransport, Transport

Built = TypeVar("Built")
BuiltWakeable = TypeVar("BuiltWakeable", bound=Wakeable)

__all__ = ["FetchTransport", "connect", "connect_sync", "open_lock", "share_session"]


def connect(
    build: Callable[..., BuiltWakeable], *, transport: Transport | None = None, **options: Any
) -> BuiltWakeable:
    """Return an async client on the page's fetch, storage, locks and navigation.

    Args:
        build: The class of the client.
        transport: Sends the requests instead of the page's fetch.
        **options: See ``Options``.
    """
    key = options.get("storage_key", "unexpired")
    client = build(
        transport or FetchTransport(),
        store=open_store(options.get("storage", "local"), key),
        lock=open_lock(_lock_name(key)),
        navigator=BrowserNavigator(),
        is_watched=is_visible,
        page_url=str(js.location.href),
        **options,
    )
    client.on_close(wake_on_events(client))
    return client


def connect_sync(
    build: Callable[..., Built], *, transport: SyncTransport | None = None, **options: Any
) -> Built:
    """Return a sync client with a session of its own; see ``Client.in_browser``."""
    key = options.get("storage_key", "unexpired")
    return share_session(
        build,
        FetchTransport(),
        key,
        transport=transport,
        store=open_store(options.get("storage", "local"), key),
        navigator=BrowserNavigator(),
        page_url=str(js.location.href),
        **options,
    )


def share_session(
    build: Callable[..., Built],
    fetch: Transport,
    storage_key: str,
    *,
    transport: SyncTransport | None = None,
    **options: Any,
) -> Built:
    """Return a sync client that shares the session under a storage key, and its refresh lock.

    Args:
        build: The class of the client.
        fetch: Sends the requests where the engine can wait for a promise.
        storage_key: The name the session is stored under.
        transport: Sends the requests instead of the page's own network.
        **options: Further arguments of the class.
    """
    from unexpired.browser.jspi import JSPILock, JSPITransport  # noqa: PLC0415 - few pages block
    from unexpired.browser.xhr import XhrTransport  # noqa: PLC0415

    return build(
        transport or JSPITransport(fetch, otherwise=XhrTransport()),
        lock=JSPILock(open_lock(_lock_name(storage_key))),
        **{"max_backoff": 0, **options},
    )


def _lock_name(storage_key: str) -> str:
    return f"{storage_key}:refresh"
