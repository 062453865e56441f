"""The one public door."""

from __future__ import annotations

import ast
import types
from pathlib import Path

import unexpired

LIBRARY = Path(unexpired.__file__).parent


def test_all_names_every_public_member_and_no_other() -> None:
    members = {
        name
        for name, value in vars(unexpired).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert sorted(members - {"annotations"}) == unexpired.__all__ == sorted(unexpired.__all__)


WORLDS = {"adapters", "process", "browser"}
CLIENTS = {"client", "sync_client"}


def _imports(module: str) -> set[str]:
    tree = ast.parse((LIBRARY / f"{module}.py").read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    return {(node.module or "").split(".")[0] for node in nodes}


def test_modules_form_a_ladder_in_the_order_that_the_docstring_tells() -> None:
    assert unexpired.__doc__ is not None
    order = unexpired.__doc__.split("order: ")[1].rstrip(".\n").replace("\n", " ").split(", ")
    assert set(order) == {path.stem for path in LIBRARY.glob("*.py")} - {"__init__"} | WORLDS
    for rung, module in enumerate(order[: -len(WORLDS)]):
        # The clients' own ways into each world are imported by whoever takes one.
        allowed = {*order[:rung], *(WORLDS if module in CLIENTS else ())}
        assert _imports(module) <= allowed, module


def test_the_core_reads_no_clock_and_draws_no_lots() -> None:
    banned = {"time", "random", "secrets", "asyncio", "datetime", "js", "pyodide"}
    for module in ("policy", "retry", "session"):
        tree = ast.parse((LIBRARY / f"{module}.py").read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert not names & banned, module
