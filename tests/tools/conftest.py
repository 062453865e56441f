"""What the tests of the distributions share: all wheels, built once and installed once."""

from __future__ import annotations

from pathlib import Path

import pytest

from build_wheels import build
from tests.tools.distributions import WHEELS, install


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of all wheels."""
    folder = tmp_path_factory.mktemp("wheels")
    assert [wheel.name for wheel in build(folder)] == [*WHEELS.values()]
    return folder


@pytest.fixture(scope="session")
def installed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which all wheels are installed, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    install(wheels, folder)
    return folder
