"""Desktop implementations of the ports: urllib transport, file or keyring store, process lock.

Needs ``pip install unexpired[desktop]``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from unexpired.desktop.keys import ProgramProver, SyncProgramProver
from unexpired.desktop.sign_in_place import ProgramPlace, SyncProgramPlace
from unexpired.desktop.threads import ThreadedTransport
from unexpired.desktop.urllib import UrllibTransport
from unexpired.errors import missing_extra, no_desktop
from unexpired.origins import DEFAULT_STORAGE_KEY, api_of, origin_of

try:
    from platformdirs import user_state_path

    from unexpired.desktop.locks import ProcessLock, SyncProcessLock
    from unexpired.desktop.stores import FileStore, KeyringStore
except ModuleNotFoundError as _error:
    if sys.platform == "emscripten":
        raise no_desktop(_error) from _error
    raise missing_extra(_error, "on_desktop", "desktop") from _error


if TYPE_CHECKING:
    from unexpired.ports import SyncTransport, TokenStore, Transport

Built = TypeVar("Built")

__all__ = ["FileStore", "KeyringStore", "ProcessLock", "SyncProcessLock", "connect", "connect_sync"]


def connect(
    build: Callable[..., Built],
    *,
    store: TokenStore | None = None,
    transport: Transport | None = None,
    **options: Any,
) -> Built:
    """Return an async client for a program; see ``AsyncClient.on_desktop``."""
    path = _session_path(options)
    return build(
        transport or ThreadedTransport(UrllibTransport()),
        store=store or FileStore(path),
        lock=ProcessLock(path.with_suffix(".lock")),
        prover=ProgramProver(),
        **{"place": ProgramPlace(), **options},
    )


def connect_sync(
    build: Callable[..., Built],
    *,
    store: TokenStore | None = None,
    transport: SyncTransport | None = None,
    **options: Any,
) -> Built:
    """Return a sync client for a program; see ``Client.on_desktop``."""
    path = _session_path(options)
    return build(
        transport or UrllibTransport(),
        store=store or FileStore(path),
        lock=SyncProcessLock(path.with_suffix(".lock")),
        prover=SyncProgramProver(),
        **{"place": SyncProgramPlace(), **options},
    )


def _session_path(options: dict[str, Any]) -> Path:
    """Return the file for the session of one API; two APIs never share a file.

    Raises:
        ValueError: If ``base_url`` is missing or not absolute.
    """
    base_url, key = options.get("base_url"), options.get("storage_key") or DEFAULT_STORAGE_KEY
    if not base_url:
        raise ValueError("a program has no page: give base_url, the address of the API")
    if origin_of(api_of(base_url=base_url, page_url="")) is None:
        raise ValueError("a program has no page: base_url is absolute, such as https://api.example")
    digest = sha256(str(base_url).rstrip("/").encode()).hexdigest()[:16]
    return user_state_path("unexpired", appauthor=False) / f"{key}-{digest}.json"
