"""The short form of ``make cluster``: a few faults, with short outages and few clients."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ensure_cluster import missing
from tests.cluster.rows import SHORT, all_rows
from tests.cluster.runner import Runner
from tests.cluster.scene import Length, Row
from tests.cluster.table import remarks
from tests.cluster.topology import workspace

ROWS = {row.name: row for row in all_rows()}
LENGTH = Length(clients=12, outage=4, after=4)

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"lacks {', '.join(missing())}")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Make a folder that the database's account can reach, which pytest's own is not."""
    with workspace() as made:
        yield made


@pytest.fixture(scope="module")
def runner(folder: Path) -> Iterator[Runner]:
    """Keep one cluster for all rows that do not ruin it."""
    with Runner(folder, "direct", LENGTH, seed=0) as playing:
        yield playing


@pytest.mark.parametrize("row", [ROWS[name] for name in SHORT], ids=SHORT)
async def test_no_session_is_lost_and_no_token_outlives_its_end(runner: Runner, row: Row) -> None:
    if lacks := row.lacks():
        pytest.skip(lacks)
    async for result in runner.play([row]):
        assert result.is_good, remarks(result)
        assert result.endings > 0
        assert result.recovery is not None, remarks(result)
