"""The server's package, which not everybody needs who builds pages."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from unexpired_kit.errors import KitError

PACKAGE = "unexpired_server"
MISSING = "This needs the server: pip install 'unexpired-kit[serve]'"


def server_module(name: str) -> Any:
    """Import a module of the server.

    Args:
        name: Its name within the package.

    Raises:
        KitError: The server is not installed.
    """
    try:
        return import_module(f"{PACKAGE}.{name}")
    except ModuleNotFoundError as exc:
        raise KitError(MISSING) from exc
