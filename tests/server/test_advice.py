"""What is logged of the settings: once for a node, however many workers it has."""

import logging
import time
from pathlib import Path

import pytest

from tests.support.server_process import TIMEOUT_SECONDS, StartProcess
from unexpired_server.ops.advice import Advice
from unexpired_server.ops.metrics import SHARED_FOLDER


def test_the_workers_of_a_node_give_an_advice_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SHARED_FOLDER, str(tmp_path))
    for worker in (Advice(), Advice()):
        for sentence in ("set this", "set this", "set that"):
            worker.give(sentence)
    assert [record.getMessage() for record in caplog.records] == ["set this", "set that"]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_worker_that_cannot_write_gives_it_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SHARED_FOLDER, str(tmp_path / "gone"))
    worker = Advice()
    worker.give("set this")
    worker.give("set this")
    assert [record.getMessage() for record in caplog.records] == ["set this"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_behind_proxies_is_advised_once_at_its_start(
    serve: StartProcess, workers: str
) -> None:
    process = serve("--workers", workers, UNEXPIRED_TRUSTED_PROXIES="127.0.0.1")
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while process.log.count("startup complete") < int(workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert process.log.count("UNEXPIRED_PUBLIC_URL is not set") == 1
