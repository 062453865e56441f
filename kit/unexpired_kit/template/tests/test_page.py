"""The page, built as ``unexpired serve`` builds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent


def test_the_page_can_be_built_and_has_nothing_of_the_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unexpired_kit", "build", str(PROJECT), "--out"]
    subprocess.run([*command, str(tmp_path / "dist")], check=True)
    names = {path.name for path in tmp_path.rglob("*")}
    assert {"index.html", "main.py", "style.css", "snapshot.gz"} <= names
    assert not names & {"server.py", "keys.json", "README.md"}
