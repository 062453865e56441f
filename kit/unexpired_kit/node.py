"""The scripts that run Pyodide outside of a browser, in Node.js."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from unexpired_kit.errors import KitError

SCRIPTS = Path(__file__).with_name("scripts")


def make_snapshot(pyodide: Path, *modules: str) -> None:
    """Start Python once, so that it need not in every page.

    Args:
        pyodide: Pyodide's folder, in which the archives are and the snapshot will be.
        *modules: The modules to import besides those of every page.
    """
    _run("make_snapshot.mjs", pyodide, *modules)


def pack_modules(pyodide: Path, modules: Path, archive: Path) -> None:
    """Compile modules and pack them into one archive.

    Args:
        pyodide: Pyodide's folder.
        modules: The folder of the modules.
        archive: The archive to write.
    """
    _run("pack_modules.mjs", pyodide, modules, archive)


def _run(script: str, *arguments: Path | str) -> None:
    if (program := shutil.which("node")) is None:
        raise KitError("A build starts Python once, in Node.js 18 or later: there is no node here.")
    command = [program, str(SCRIPTS / script), *map(str, arguments)]
    subprocess.run(command, check=True)  # noqa: S603 - Fixed words.
