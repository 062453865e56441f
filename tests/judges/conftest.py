"""The judges, and our server with bound sessions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.judges.asking import Judges


@pytest.fixture(scope="session")
def judges() -> Iterator[Judges]:
    """Return the judges: npm's jose, oauth4webapi and dpop."""
    judges = Judges()
    yield judges
    judges.stop()
