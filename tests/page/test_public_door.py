"""The page uses only the public names of the library, as any other page would."""

import ast
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[2] / "app"
PAGE = [APP / "main.py", *sorted((APP / "views").rglob("*.py"))]
PUBLIC = {"unexpired", "unexpired.browser", "unexpired.outside_text", "unexpired.secret_strength"}


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield each module that is imported, with the name taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{'.' * node.level}{node.module}", alias.name) for alias in node.names)


@cache
def _exported(module: str) -> list[str]:
    """Return the names in a module's ``__all__``, without importing it: it may need a browser."""
    path = APP.joinpath(*module.split(".")).with_suffix(".py")
    path = path if path.is_file() else path.with_suffix("") / "__init__.py"
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return [name for name in vars(importlib.import_module(module)) if not name.startswith("_")]


def _faults(tree: ast.AST) -> Iterator[str]:
    for module, name in _imports(tree):
        if module.partition(".")[0] == "unexpired" and module not in PUBLIC:
            yield f"imports the private module {module}"
        elif module in PUBLIC and name not in _exported(module):
            yield f"imports {name or 'all'} from {module}, which does not export it"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) != "self":
            if node.attr.startswith("_") and not node.attr.startswith("__"):
                yield f"uses the private attribute {ast.unparse(node)}"
            if node.attr == "diagnose":
                yield "calls diagnose(), whose result is for people and may change"


@pytest.mark.parametrize("path", PAGE, ids=lambda path: str(path.relative_to(APP)))
def test_the_page_uses_only_public_names(path: Path) -> None:
    """No private module, no private attribute, and not ``diagnose()``."""
    assert list(_faults(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "source",
    [
        "from unexpired.session import Session",
        "import unexpired.policy",
        "from unexpired.browser.locks import open_lock",
        "from unexpired import Session",
        "self._client._manager",
        "client.diagnose()",
    ],
)
def test_a_private_name_is_found(source: str) -> None:
    """The check above fails for each way to use what is not public."""
    assert list(_faults(ast.parse(source)))
