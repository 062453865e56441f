"""Optional dependencies: a missing one becomes a sentence that names the extra to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from unexpired_server.settings import SettingsError


def require(module: str, extra: str, purpose: str) -> Any:
    """Import a module that one of the package's extras installs.

    Args:
        module: Its name.
        extra: The extra that installs it.
        purpose: What needs it; begins the sentence.

    Raises:
        SettingsError: It is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise SettingsError(
            f"{purpose} needs {module}: pip install 'unexpired-server[{extra}]'"
        ) from None
