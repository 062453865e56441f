"""A database with one user, for a server that has not been started yet."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.server_process import DATABASE, clean_environment

USER, PASSWORD = "ada", "correct horse"


def add_user(folder: Path) -> None:
    """Give a server without data its user.

    Args:
        folder: Where the server will run, with the database that it has by default.
    """
    database = folder / DATABASE
    database.parent.mkdir(mode=0o700)
    database.touch(mode=0o600)
    database.write_bytes(_database_with_user())


@cache
def _database_with_user() -> bytes:
    """Return what the command makes, which takes as long as a start of the server."""
    with TemporaryDirectory() as folder:
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "unexpired_server", "user", "add", USER],
            cwd=folder,
            env=clean_environment(),
            input=f"{PASSWORD}\n",
            text=True,
            check=True,
            capture_output=True,
        )
        return (Path(folder) / DATABASE).read_bytes()
