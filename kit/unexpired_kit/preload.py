"""Which modules of a page its memory snapshot holds, already imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from unexpired_kit.errors import KitError
from unexpired_kit.markup import scripts
from unexpired_kit.page_settings import PageSettings


def preloaded(source: Path, page: str, settings: PageSettings) -> list[str]:
    """Return the page's own modules that its scripts import first, if it wants them preloaded.

    Args:
        source: The page's folder.
        page: Its markup.
        settings: Its settings.

    Raises:
        KitError: A script cannot be parsed.
    """
    if not settings.preloads:
        return []
    own = {_dotted(module) for module in settings.modules.values()}
    found = (name for script in scripts(page) for name in _imported(source / script))
    return sorted(own.intersection(found))


def _dotted(module: str) -> str:
    path = Path(module).with_suffix("")
    return ".".join(path.parent.parts if path.name == "__init__" else path.parts)


def _imported(script: Path) -> Iterator[str]:
    """Yield what a script imports at its top, and the modules that these names may be in."""
    try:
        tree = ast.parse(script.read_bytes(), script.name)
    except SyntaxError as exc:
        raise KitError(f"{script.name} cannot be parsed, line {exc.lineno}: {exc.msg}.") from None
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
