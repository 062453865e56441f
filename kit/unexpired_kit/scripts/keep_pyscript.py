"""Keep PyScript's modules compiled in the snapshot. Runs in Pyodide, for make_snapshot.mjs.

PyScript writes their sources into the file system at each start, and imports them from there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType

PLACE = "/home/pyodide/pyscript"
# The largest, which a page rarely imports.
RARE = {"fs.py", "media.py", "web.py"}


class KeptLoader(SourceFileLoader):
    """Loads a module from what is kept, if that was compiled from the same source."""

    kept: dict[bytes, CodeType] = {}  # noqa: RUF012 - one for all

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code that is kept for the source, or compile it."""
        return self.kept.pop(self.get_data(self.path), None) or super().get_code(fullname)


class KeptFinder:
    """Finds PyScript's modules where they are, and has them loaded from what is kept."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, _target: object = None
    ) -> ModuleSpec | None:
        """Return where a module of PyScript is."""
        if name.partition(".")[0] != "pyscript":
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = KeptLoader(name, spec.loader.path)
        return spec


def keep(sources: Mapping[str, str]) -> None:
    """Compile these sources, by their file names, and load them from there when imported."""
    for name, source in sources.items():
        if name not in RARE:
            code = compile(source, f"{PLACE}/{name}", "exec", dont_inherit=True)
            KeptLoader.kept[source.encode()] = code
    sys.meta_path.insert(0, KeptFinder)
