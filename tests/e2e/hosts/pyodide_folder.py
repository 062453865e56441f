"""Pyodide as npm has it, copied into a folder that a page loads it from."""

import shutil
from pathlib import Path

from tests.support.paths import ROOT

PYODIDE = ROOT / "node_modules" / "pyodide"
FILES = (
    *("pyodide.mjs", "pyodide.js", "pyodide.asm.mjs", "pyodide.asm.js", "pyodide.asm.wasm"),
    *("python_stdlib.zip", "pyodide-lock.json"),
)


def copy_pyodide(package: Path, target: Path) -> None:
    """Copy what a page loads out of an npm package of Pyodide; its versions differ in that."""
    target.mkdir(parents=True)
    for name in FILES:
        if (package / name).exists():
            shutil.copyfile(package / name, target / name)
