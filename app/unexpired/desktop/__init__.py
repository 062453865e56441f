"""A program's side of the ports: urllib, a file or the system's keyring, a lock among processes.

Needs ``pip install unexpired[desktop]``.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from platformdirs import user_state_path

from unexpired.adapters.urllib import UrllibTransport
from unexpired.desktop.locks import ProcessLock, SyncProcessLock
from unexpired.desktop.stores import FileStore, KeyringStore
from unexpired.desktop.threads import ThreadedTransport

if TYPE_CHECKING:
    from unexpired.async_client import AsyncClient
    from unexpired.ports import SyncTransport, TokenStore, Transport
    from unexpired.sync_client import Client

    Built = TypeVar("Built", bound=AsyncClient)
    BuiltSync = TypeVar("BuiltSync", bound=Client)

__all__ = ["FileStore", "KeyringStore", "ProcessLock", "SyncProcessLock", "connect", "connect_sync"]


def connect(
    kind: type[Built],
    *,
    store: TokenStore | None = None,
    transport: Transport | None = None,
    **options: Any,
) -> Built:
    """Return an async client of this kind for a program; see ``AsyncClient.on_desktop``."""
    path = _session_path(options)
    return kind(
        transport or ThreadedTransport(UrllibTransport()),
        store=store or FileStore(path),
        lock=ProcessLock(path.with_suffix(".lock")),
        **options,
    )


def connect_sync(
    kind: type[BuiltSync],
    *,
    store: TokenStore | None = None,
    transport: SyncTransport | None = None,
    **options: Any,
) -> BuiltSync:
    """Return a sync client of this kind for a program; see ``Client.on_desktop``."""
    path = _session_path(options)
    return kind(
        transport or UrllibTransport(),
        store=store or FileStore(path),
        lock=SyncProcessLock(path.with_suffix(".lock")),
        **options,
    )


def _session_path(options: dict[str, Any]) -> Path:
    """Return where the session of one API is kept: two APIs never share a file."""
    base_url, key = options.get("base_url"), options.get("storage_key", "unexpired")
    if not base_url:
        raise ValueError("a program has no page: give base_url, the address of the API")
    digest = sha256(str(base_url).rstrip("/").encode()).hexdigest()[:16]
    return user_state_path("unexpired", appauthor=False) / f"{key}-{digest}.json"
