"""What the tests of the distributions share: both wheels, built once and installed once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from build_wheels import build
from tests.tools.distributions import LIBRARY_WHEEL, SERVER_WHEEL


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of both wheels."""
    folder = tmp_path_factory.mktemp("wheels")
    assert [wheel.name for wheel in build(folder)] == [LIBRARY_WHEEL, SERVER_WHEEL]
    return folder


@pytest.fixture(scope="session")
def installed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which both wheels are installed, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    options = ("--no-index", "--no-deps", "--target", str(folder))
    both = (str(wheels / LIBRARY_WHEEL), str(wheels / SERVER_WHEEL))
    subprocess.run([*pip, *options, *both], check=True)  # noqa: S603 - Our own words.
    return folder
