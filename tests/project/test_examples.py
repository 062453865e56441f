"""The examples, and what `unexpired new` makes, use only what is public."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import unexpired
import unexpired.oidc
import unexpired_server
from tests.support.paths import ROOT
from unexpired_kit.new import TEMPLATE

PUBLIC = {
    "unexpired": {*unexpired.__all__},
    "unexpired.oidc": {*unexpired.oidc.__all__},
    "unexpired_server": {*unexpired_server.__all__},
    "unexpired.browser.worker": {"connect", "serve"},  # The page on workers names these.
}
FOLDERS = (ROOT / "examples", TEMPLATE)
FILES = sorted(file for folder in FOLDERS for file in folder.rglob("*.py"))


def imported(file: Path) -> Iterator[tuple[str, str]]:
    """Yield what a file imports of ours: the module, and the name."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unexpired"):
            yield from ((node.module or "", one.name) for one in node.names)
        elif isinstance(node, ast.Import):
            yield from ((one.name, "*") for one in node.names if one.name.startswith("unexpired"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_an_example_imports_only_public_names(file: Path) -> None:
    """What it needs is what everybody may use."""
    private = [
        (module, name) for module, name in imported(file) if name not in PUBLIC.get(module, ())
    ]
    assert private == []
