"""Pack /modules into /modules.zip, reproducibly. Runs in Pyodide, for pack_modules.mjs."""

from __future__ import annotations

import py_compile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

MODULES = Path("/modules")
COMPILED = Path("/module.pyc")

with ZipFile("/modules.zip", "w", ZIP_DEFLATED) as archive:
    for module in sorted(MODULES.rglob("*.py")):
        name = module.relative_to(MODULES).as_posix()
        # Never checked against the source, which is not in the archive.
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(module), str(COMPILED), name, doraise=True, invalidation_mode=mode)
        archive.writestr(ZipInfo(f"{name}c"), COMPILED.read_bytes(), ZIP_DEFLATED)
