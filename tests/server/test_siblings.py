"""Workers of one node: when one has lost the database, none says that the node is ready."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.harness import TestServer
from unexpired_server.errors import Unavailable
from unexpired_server.ops.metrics import SHARED_FOLDER
from unexpired_server.ops.siblings import LASTS_SECONDS, Siblings
from unexpired_server.service import Service

Worker = Callable[[int], Siblings]


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """Return a function that makes a worker of one node by its process id."""
    monkeypatch.setenv(SHARED_FOLDER, str(tmp_path))

    def made(pid: int) -> Siblings:
        monkeypatch.setattr(os, "getpid", lambda: pid)
        return Siblings(lambda: 0.0)

    return made


async def test_a_worker_says_what_another_has_lost_until_that_is_over(worker: Worker) -> None:
    asked, other = worker(1), worker(2)
    assert await asked.problem() is None
    other.note(has_lost=True)
    assert "cannot ask the database" in str(await asked.problem())
    other.note(has_lost=False)
    assert await asked.problem() is None


async def test_a_worker_that_was_killed_is_forgotten(worker: Worker, tmp_path: Path) -> None:
    worker(1).note(has_lost=True)
    assert await Siblings(lambda: LASTS_SECONDS - 1).problem() is not None
    assert await Siblings(lambda: LASTS_SECONDS).problem() is None
    (tmp_path / "lost-2").write_text("")  # Half written.
    assert await Siblings(lambda: LASTS_SECONDS).problem() is not None


async def test_one_process_has_no_siblings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SHARED_FOLDER, raising=False)
    single = Siblings()
    single.note(has_lost=True)
    assert await single.problem() is None


async def test_a_worker_that_cannot_poll_makes_the_others_not_ready(
    node: TestServer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(1)
    asked, other = Service(node.settings), Service(node.settings)

    async def lose() -> None:
        raise Unavailable

    monkeypatch.setattr(other, "_read_what_is_shared", lose)
    with pytest.raises(Unavailable):
        await other._follow()  # noqa: SLF001 - what the service repeats
    with pytest.raises(Unavailable) as refused:
        await asked.readiness.check()
    assert [reason.check for reason in refused.value.reasons] == ["workers"]
    await asked.database.close()
    await other.database.close()
