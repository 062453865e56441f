"""The page as `make site` builds it, for the tests that do not need its sources one by one.

It starts in half the time, with two thirds of the processor time: its library is in the snapshot,
and its modules are one compiled archive.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from filelock import FileLock

from tests.support.paths import ROOT
from unexpired_kit.site import build

SOURCES = ("index.html", "pyscript.toml", "app", "kit/unexpired_kit", "vendor/.inputs")
DEMO_SOURCES = (*SOURCES, "server", "tools/build_demo_site.py", "tools/demo-wheels.lock")
BESIDE = ("app", "vendor")
"""What the tests' own page loads, which is not built."""


@cache
def built_page() -> Path:
    """Return the folder of the built page; build it if the sources have changed."""
    return _built(ROOT / "build" / "tests-page", SOURCES, _build_page)


@cache
def built_demo_site() -> Path:
    """Return the folder of the page with its server in it, as `make demo-site` builds it."""
    return _built(ROOT / "build" / "tests-demo-site", DEMO_SOURCES, _build_demo_site)


def _built(place: Path, sources: tuple[str, ...], build_into: Callable[[Path], None]) -> Path:
    folder = place / _digest(sources)
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / ".lock"):  # Each worker of a run asks for it.
        if not folder.is_dir():
            for older in (path for path in place.iterdir() if path.is_dir()):
                shutil.rmtree(older)
            staging = place / ".staging"
            build_into(staging)
            staging.rename(folder)
    return folder


def _build_page(folder: Path) -> None:
    build(ROOT, folder, "")
    for name in BESIDE:
        (folder / name).symlink_to(ROOT / name)


def _build_demo_site(folder: Path) -> None:
    # In a process of its own: it runs an event loop, as Playwright does in this one.
    command = (sys.executable, ROOT / "tools" / "build_demo_site.py", folder)
    subprocess.run(command, check=True)  # noqa: S603 - our own program


def _digest(sources: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for name in sources for path in _files(ROOT / name)):
        digest.update(f"{file.relative_to(ROOT)} {file.stat().st_size}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _files(source: Path) -> list[Path]:
    found = [source] if source.is_file() else source.rglob("*")
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]
