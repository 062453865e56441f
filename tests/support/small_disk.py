"""A disk of a few megabytes that a test can fill."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Mount a disk in memory while the context lasts; skip the test where that is not allowed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        options = f"size={megabytes}m,mode=0777"
        command = ["mount", "-t", "tmpfs", "-o", options, "unexpired", name]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own words
        if done.returncode:
            pytest.skip("this user may not mount a small disk")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)  # noqa: S603, S607 - our own words


def fill(disk: Path) -> Path:
    """Write until the disk is full; return the file, which frees the space when it is removed."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    assert shutil.disk_usage(disk).free < os.sysconf("SC_PAGE_SIZE")
    return ballast
