"""Builds of a page that are made again only when it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from unexpired_kit import runtime, site
from unexpired_kit.markup import REFERENCE, SETTINGS
from unexpired_kit.page_settings import read_settings

# In the built folder, of which no server sends a hidden file.
MARK = ".built-from"
WHOLE = ("app", "vendor")


def build_if_changed(source: Path, target: Path, begin: Callable[[], None]) -> None:
    """Build a page for its own origin, unless the last build is of the same files.

    Args:
        source: The folder of the page.
        target: The folder to build.
        begin: Called before a build, which takes a while.

    Raises:
        KitError: It cannot be built.
    """
    state, mark = _state_of(source), target / MARK
    if mark.is_file() and mark.read_text("utf-8") == state:
        return
    begin()
    site.build(source, target, "")
    mark.write_text(state, "utf-8")


def _state_of(source: Path) -> str:
    """Return a digest of all that a build depends on; empty where something is missing."""
    digest = hashlib.sha256()
    try:
        for file in sorted(_sources(source)):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{content} {file.relative_to(source).as_posix()}\n".encode())
    except OSError:
        return ""
    # Of an installed package, sizes and times change with its version.
    for file in sorted(_tools()):
        state = file.stat()
        digest.update(f"{state.st_size} {state.st_mtime_ns} {file.as_posix()}\n".encode())
    return digest.hexdigest()


def _sources(source: Path) -> set[Path]:
    page, settings = source / "index.html", source / SETTINGS
    named = [name for _, name in REFERENCE.findall(page.read_text("utf-8"))]
    named += read_settings(settings.read_text("utf-8")).named_files
    own = {path for name in named if (path := source / name).is_file()}
    return {page, settings, *own, *(path for name in WHOLE for path in _files(source / name))}


def _tools() -> Iterator[Path]:
    for folder in (Path(__file__).parent, runtime.LIBRARY, runtime.VENDOR):
        yield from _files(folder)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
