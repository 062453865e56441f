"""Processes under load: several workers, a graceful shutdown, and a kill."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest

from tests.server.harness import PASSWORD
from tests.support.server_process import ServerProcess, StartProcess

STORES = ("sqlite", "postgres")


@pytest.fixture
def node_process(serve: StartProcess, store: str) -> Callable[..., ServerProcess]:
    """A process on the test's store; all processes share one key file."""
    return lambda *args: serve("--database-url", store, *args)


class Load:
    """Sessions that are refreshed without a pause, each in its own thread."""

    def __init__(self, process: ServerProcess, sessions: int) -> None:
        self.tokens = [process.sign_in("ada", PASSWORD)["refreshToken"] for _ in range(sessions)]
        self.statuses: list[int] = []
        self.refreshes = threading.Semaphore(0)
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(sessions)
        self._process = process

    def start(self) -> None:
        self._futures = [self._pool.submit(self._refresh, i) for i in range(len(self.tokens))]

    def stop(self) -> None:
        self._stopping.set()
        for future in self._futures:
            future.result(30)
        self._pool.shutdown()

    def _refresh(self, which: int) -> None:
        """Refresh one session until the server has ended; its last response may be lost."""
        while not self._stopping.is_set():
            try:
                status, response = self._process.post(
                    "/api/refresh", {"refreshToken": self.tokens[which]}
                )
            except (OSError, HTTPException):
                return
            self.statuses.append(status)
            if status != 200:
                return
            self.tokens[which] = response["refreshToken"]
            self.refreshes.release()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_node_that_ends_under_load_loses_no_session_and_no_refresh(
    node_process: Callable[..., ServerProcess], how: signal.Signals
) -> None:
    dying = node_process("--rotation")
    load = Load(dying, 5)
    load.start()
    for _ in range(20):
        assert load.refreshes.acquire(timeout=20)
    dying.stop(how)
    load.stop()
    assert set(load.statuses) == {200}
    # However long its start takes, a repeated refresh is within the grace period.
    surviving = node_process("--refresh-grace", "600")
    for token in load.tokens:
        # The last refresh may have been committed and its response lost: then this is a repeat.
        status, response = surviving.post("/api/refresh", {"refreshToken": token})
        assert (status, response.get("code")) == (200, None)


def test_several_workers_serve_as_one_and_count_together(
    node_process: Callable[..., ServerProcess],
) -> None:
    process = node_process("--workers", "2")
    tokens = process.sign_in("ada", PASSWORD)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(process.get, "/api/me", tokens["accessToken"]) for _ in range(60)]
        assert {one.result()[0] for one in asked} == {200}
    assert process.post("/api/refresh", {"refreshToken": tokens["refreshToken"]})[0] == 200
    total = 'unexpired_requests_total{method="GET",route="/api/me",status="200"} 60.0'
    assert total in process.text("/metrics")
    process.stop()
    assert "Traceback" not in process.log
