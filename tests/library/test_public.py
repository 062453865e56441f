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


def test_the_core_reads_no_clock_and_draws_no_lots() -> None:
    banned = {"time", "random", "secrets", "asyncio", "datetime", "js", "pyodide"}
    for module in ("policy", "backoff", "session"):
        tree = ast.parse((LIBRARY / f"{module}.py").read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert not names & banned, module
