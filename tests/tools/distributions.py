"""The distributions as a user has them: their metadata, and Python with nothing but them."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

from build_wheels import KIT, ROOT, SERVER
from tests.support.server_process import clean_environment

PROJECTS = {"unexpired": ROOT, "unexpired-kit": KIT, "unexpired-server": SERVER}
COMMANDS = ("unexpired", "unexpired-server")


def project_table(name: str) -> dict[str, Any]:
    """Return the `[project]` table of a distribution's project file."""
    text = (PROJECTS[name] / "pyproject.toml").read_text("utf-8")
    table: dict[str, Any] = tomllib.loads(text)["project"]
    return table


VERSION = str(project_table("unexpired")["version"])
LIBRARY_WHEEL = f"unexpired-{VERSION}-py3-none-any.whl"
SERVER_WHEEL = f"unexpired_server-{VERSION}-py3-none-any.whl"
KIT_WHEEL = f"unexpired_kit-{VERSION}-py3-none-any.whl"
WHEELS = {
    "unexpired": LIBRARY_WHEEL,
    "unexpired-kit": KIT_WHEEL,
    "unexpired-server": SERVER_WHEEL,
}


def described(wheel: Path, name: str = "METADATA") -> str:
    """Return a file of the wheel's description of itself."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (one for one in archive.namelist() if one.endswith(f".dist-info/{name}"))
        return archive.read(path).decode()


def metadata(wheel: Path) -> Message:
    """Return a wheel's metadata; its payload is the README."""
    return Parser().parsestr(described(wheel))


def install(wheels: Path, folder: Path) -> None:
    """Install the wheels of a folder, and nothing else, into another."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    options = ("--no-index", "--no-deps", "--target", str(folder))
    ours = sorted(map(str, wheels.glob("*.whl")))
    subprocess.run([*pip, *options, *ours], check=True)  # noqa: S603 - Our own words.


def run_installed(installed: Path, folder: Path, *arguments: str, stdin: str = "") -> str:
    """Run a program in a folder, as someone does who has installed the wheels and no clone.

    Args:
        installed: Where the wheels are installed.
        folder: The working folder, which Python searches for modules first.
        *arguments: Python's, or a command of ours and its own.
        stdin: What the program reads.
    """
    python = () if arguments[0] in COMMANDS else (sys.executable,)
    path = os.pathsep.join((str(installed / "bin"), os.environ["PATH"]))
    done = subprocess.run(  # noqa: S603 - Our own words.
        [*python, *arguments],
        cwd=folder,
        env={**clean_environment(), "PYTHONPATH": str(installed), "PATH": path},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
