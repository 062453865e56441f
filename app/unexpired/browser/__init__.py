"""The browser's side of the ports. Only the modules of this package touch JavaScript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import js

from .fetch import FetchTransport
from .lifecycle import attend, is_visible
from .locks import open_lock
from .navigation import BrowserNavigator
from .storage import open_store

if TYPE_CHECKING:
    from unexpired.client import AsyncClient
    from unexpired.ports import Transport

    Built = TypeVar("Built", bound=AsyncClient)


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
