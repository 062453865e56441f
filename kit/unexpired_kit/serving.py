"""Serve a project: its page, and its server on the same port."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from unexpired_kit.errors import KitError
from unexpired_kit.freshness import build_if_changed
from unexpired_kit.server_package import server_module

MODULE = "server"
FACTORY = "create_app"
COMMAND = "unexpired-server"


def serve(folder: Path, options: Sequence[str], announce: Callable[[str], None]) -> None:
    """Build a project's page where it has changed, and serve both until a signal.

    Args:
        folder: The project, which is the working folder from now on: its data is there.
        options: Those of ``unexpired-server serve``.
        announce: Called with a sentence before a build, which takes a while.

    Raises:
        KitError: There is no project, the page cannot be built, or the server is not installed.
        SystemExit: The server has ended.
    """
    folder = folder.resolve()
    if not (folder / f"{MODULE}.py").is_file():
        raise KitError(f"There is no {MODULE}.py in {folder}: make a project by unexpired new.")
    run = server_module("cli").main
    dist = folder / "dist"
    build_if_changed(folder, dist, lambda: announce("Building the page …"))
    os.chdir(folder)
    sys.path.insert(0, str(folder))  # Workers inherit it.
    create_app = getattr(import_module(MODULE), FACTORY, None)
    if create_app is None:
        raise KitError(f"{MODULE}.py needs a function {FACTORY}(settings).")
    run(["serve", "--page-dir", str(dist), *options], prog_name=COMMAND, obj=create_app)
