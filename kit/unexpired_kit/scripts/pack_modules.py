"""Pack /modules into /modules.zip, reproducibly. Runs in Pyodide, for pack_modules.mjs."""

from __future__ import annotations

import os
import py_compile
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

MODULES = Path("/modules")
COMPILED = Path("/module.pyc")
PLAIN, WITHOUT_DOCSTRINGS = 0, 2
# Packages that read no docstring of their own, and need no assertion.
BARE = os.environ["BARE"].split()

with ZipFile("/modules.zip", "w", ZIP_DEFLATED) as archive:
    for module in sorted(path for path in MODULES.rglob("*") if path.is_file()):
        name = module.relative_to(MODULES).as_posix()
        if module.suffix != ".py":
            archive.writestr(ZipInfo(name), module.read_bytes(), ZIP_DEFLATED)
            continue
        # Never checked against the source, which is not in the archive.
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        level = WITHOUT_DOCSTRINGS if name.partition("/")[0] in BARE else PLAIN
        py_compile.compile(
            str(module), str(COMPILED), name, doraise=True, optimize=level, invalidation_mode=mode
        )
        archive.writestr(ZipInfo(f"{name}c"), COMPILED.read_bytes(), ZIP_DEFLATED)
