"""Make a new project: a page, its server, and tests of both."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from unexpired_kit.errors import KitError
from unexpired_kit.server_package import server_module

TEMPLATE = Path(__file__).with_name("template")
TITLE = "{{title}}"
# Without its dot, the file would rule over the template itself.
IGNORED = "gitignore"
KEYS = Path("data", "keys.json")

# A name for a folder, a heading and a command line, on every system and without any escaping.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
BAD_NAME = "The name has 1 to 64 letters, digits, - and _, and begins with a letter, unlike {!r}."
# Windows reserves these names in every folder.
DEVICES = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)


def new_project(place: Path, name: str) -> Path:
    """Make a project, whole or not at all, and return its folder.

    Args:
        place: The folder to make it in.
        name: The name of its own folder, which may exist if it is empty.

    Raises:
        KitError: The name cannot be used, the folder is not empty or cannot be written, or the
            server is not installed.
    """
    if not NAME.fullmatch(name) or DEVICES.fullmatch(name):
        raise KitError(BAD_NAME.format(name))
    target = place / name
    _check_empty(target)
    staging = place / f".{name}-{secrets.token_hex(4)}"
    try:
        _fill(staging, name)
        if target.is_dir():
            target.rmdir()  # Windows replaces no folder, not even an empty one.
        staging.rename(target)
    except OSError as exc:
        raise KitError(f"{target} cannot be written: {exc.strerror}.") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def _check_empty(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise KitError(f"There is already a file {target}.")
    if target.is_dir() and any(target.iterdir()):
        raise KitError(f"The folder {target} is not empty.")


def _fill(folder: Path, name: str) -> None:
    title = name.replace("_", " ").replace("-", " ").strip().capitalize()
    # Contents only: files and folders of an installed package may be read-only.
    for file in _files_of(TEMPLATE):
        target = folder / file.relative_to(TEMPLATE)
        if target.name == IGNORED:
            target = target.with_name(f".{IGNORED}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.read_text("utf-8").replace(TITLE, title), "utf-8")
    _make_key(folder / KEYS)


def _files_of(template: Path) -> Iterator[Path]:
    for path in sorted(template.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _make_key(path: Path) -> None:
    """Make the project's own signing key, which only its owner can read."""
    server_module("tokens.key_file").create(path, "HS256")
