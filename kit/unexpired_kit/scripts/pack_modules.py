"""Pack /modules into /modules.zip, reproducibly. Runs in Pyodide, for pack_modules.mjs."""

from __future__ import annotations

import py_compile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

MODULES = Path("/modules")
COMPILED = Path("/module.pyc")
# The library reads no docstring of its own, and has no assertion; a page's modules may.
LIBRARY = "unexpired/"
PLAIN, WITHOUT_DOCSTRINGS = 0, 2

with ZipFile("/modules.zip", "w", ZIP_DEFLATED) as archive:
    for module in sorted(MODULES.rglob("*.py")):
        name = module.relative_to(MODULES).as_posix()
        # Never checked against the source, which is not in the archive.
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        level = WITHOUT_DOCSTRINGS if name.startswith(LIBRARY) else PLAIN
        py_compile.compile(
            str(module), str(COMPILED), name, doraise=True, optimize=level, invalidation_mode=mode
        )
        archive.writestr(ZipInfo(f"{name}c"), COMPILED.read_bytes(), ZIP_DEFLATED)
