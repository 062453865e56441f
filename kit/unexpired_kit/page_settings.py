"""What a page's pyscript.toml asks for, and what of it a build can do."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unexpired_kit.errors import KitError

LIBRARY = "unexpired"
# The table of what is for the build only.
BUILD = "unexpired_build"
PRELOAD = "preload"
LOADER = "./vendor/load_pyodide.mjs"
# PyScript's own words for what a build would have to rewrite, and does not.
UNSUPPORTED = ("fetch", "js_modules", "type", "version")
ELSEWHERE = re.compile(r"[a-z]+:|//")
PURE = "-none-any.whl"


@dataclass(frozen=True, slots=True)
class PageSettings:
    """A page's settings, divided by what becomes of them.

    Args:
        rest: What PyScript still reads at run time.
        modules: Python files of the page, and the names that they are imported by.
        wheels: Wheels beside the page.
        has_library: Whether the page asks for the library by its name.
        preloads: Whether the build imports the page's own modules, too.
    """

    rest: dict[str, Any]
    modules: dict[str, str]
    wheels: list[str]
    has_library: bool
    preloads: bool

    @property
    def named_files(self) -> list[str]:
        """Return the files that must exist."""
        return [*self.rest.get("files", ()), *self.modules, *self.wheels]


def read_settings(text: str) -> PageSettings:
    """Read a page's settings.

    Args:
        text: What its pyscript.toml says.

    Raises:
        KitError: It asks for something that a build cannot do.
    """
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise KitError(f"pyscript.toml cannot be read: {exc}.") from None
    _refuse(settings)
    preloads = _preloads(settings.pop(BUILD, {}))
    files = settings.pop("files", {})
    packages = settings.pop("packages", [])
    settings.pop("packages_cache", None)  # There are no packages to install any more.
    modules = {file: name for file, name in files.items() if file.endswith(".py")}
    if data := {file: name for file, name in files.items() if file not in modules}:
        settings["files"] = data
    settings["interpreter"] = LOADER  # Whichever Pyodide it was, this one has the snapshot.
    wheels = [name for name in packages if name != LIBRARY]
    has_library = LIBRARY in packages
    return PageSettings(settings, modules, wheels, has_library=has_library, preloads=preloads)


def _preloads(build: object) -> bool:
    if build not in ({}, {PRELOAD: False}, {PRELOAD: True}):
        raise KitError(f"[{BUILD}] in pyscript.toml may have {PRELOAD} = true, and nothing else.")
    return build == {PRELOAD: True}


def _refuse(settings: dict[str, Any]) -> None:
    if found := [name for name in UNSUPPORTED if name in settings]:
        raise KitError(f"pyscript.toml has {', '.join(found)}, which a build does not support.")
    for file, name in settings.get("files", {}).items():
        if ELSEWHERE.match(file) or name.endswith("*"):
            raise KitError(
                f"pyscript.toml unpacks or downloads {file}: name single files of the page's own"
                " folder there, and wheels in packages."
            )
    for name in settings.get("packages", ()):
        _refuse_package(name)


def _refuse_package(name: str) -> None:
    if name != LIBRARY and (ELSEWHERE.match(name) or Path(name).suffix != ".whl"):
        raise KitError(
            f"The package {name} is not a file of the page's folder: download its wheel, for"
            f' example with "pip download --no-deps {name}", and name the file.'
        )
    if name != LIBRARY and not name.endswith(PURE):
        raise KitError(f"The wheel {name} is not pure Python, so no page can load it.")
