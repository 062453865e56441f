"""Build the two distributions: the library alone, and the server alone.

Offline, for uv carries its build backend within itself; and the same tree gives the same bytes.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent
SERVER = ROOT / "server"
CACHES = shutil.ignore_patterns("__pycache__")


def main() -> None:
    """Build both into the folder that the command line names, in place of older ones."""
    target = Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    for wheel in build(target):
        print(wheel)


def build(target: Path) -> list[Path]:
    """Build both wheels; return where they are."""
    build_library(target)
    with tempfile.TemporaryDirectory() as folder:
        _build(_server_project(Path(folder) / "server"), target)
    return sorted(target.glob("*.whl"))


def build_library(target: Path) -> None:
    """Build the library's wheel into this folder."""
    _build(ROOT, target)


def _server_project(folder: Path) -> Path:
    """Put the server's package beside its project file, as a build wants it."""
    shutil.copytree(SERVER, folder, ignore=CACHES)
    shutil.copy(ROOT / "LICENSE", folder)
    return folder


def _build(project: Path, target: Path) -> None:
    words = ("build", "--quiet", "--offline", "--no-config", "--wheel", "--out-dir")
    subprocess.run([find_uv_bin(), *words, str(target), str(project)], check=True)  # noqa: S603 - Our own words.


if __name__ == "__main__":
    main()
