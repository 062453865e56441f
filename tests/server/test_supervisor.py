"""Workers that cannot start, start slowly, die, hang, or lose their supervisor."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.server_process import ServerProcess, StartProcess, clean_environment
from tests.support.workers import Script
from unexpired_server.ops import supervisor as supervisor_module
from unexpired_server.ops.supervisor import Supervisor

DEADLINE = 60.0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "this took too long"
        time.sleep(0.02)


@pytest.fixture
def _handlers() -> Iterator[None]:
    """The supervisor takes the process's signals."""
    before = {sig: signal.getsignal(sig) for sig in (signal.SIGINT, signal.SIGTERM)}
    yield
    for sig, handler in before.items():
        signal.signal(sig, handler)


def supervise(script: Script, until: Callable[[], bool], number: int = 1) -> tuple[int, int]:
    """Run a supervisor until a condition; return its exit code, and how often it was ready."""
    ready: list[None] = []

    def stop() -> None:
        with suppress(AssertionError):
            wait_until(until)
        os.kill(os.getpid(), signal.SIGTERM)

    supervisor = Supervisor(script, number, lambda: ready.append(None), stop_seconds=20)
    stopping = threading.Thread(target=stop)
    stopping.start()
    exit_code = supervisor.run()
    stopping.join()
    return exit_code, len(ready)


@pytest.mark.usefixtures("_handlers")
def test_a_worker_that_cannot_start_ends_the_node_with_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(tmp_path, ("fail",))
    ended = threading.Event()
    supervisor = Supervisor(script, 2, ended.set, stop_seconds=20)
    assert supervisor.run() == 3
    assert not ended.is_set()
    assert caplog.text.count("cannot start: the server stops") == 1


@pytest.mark.usefixtures("_handlers")
def test_workers_that_die_are_replaced_more_and_more_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE", 0.01)
    script = Script(tmp_path, ("die",))
    assert supervise(script, lambda: script.starts() == 4) == (0, 1)
    for pause in ("0.01", "0.02", "0.04"):
        assert f"another one starts in {pause} s" in caplog.text


@pytest.mark.usefixtures("_handlers")
def test_a_replacement_that_cannot_start_is_tried_again_while_the_node_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE", 0.01)
    script = Script(tmp_path, ("die", "fail", "fail", "serve"))
    assert supervise(script, lambda: script.starts() == 4) == (0, 1)


@pytest.mark.usefixtures("_handlers")
def test_a_worker_may_start_slowly_and_one_that_hangs_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(supervisor_module, "HUNG_SECONDS", 0.5)
    slow = Script(tmp_path, ("slow",))
    supervisor = Supervisor(slow, 1, lambda: os.kill(os.getpid(), signal.SIGTERM), 20)
    assert supervisor.run() == 0
    assert slow.starts() == 1
    assert "stands still" not in caplog.text
    (tmp_path / "start-0").unlink()
    hanging = Script(tmp_path, ("hang", "serve"))
    assert supervise(hanging, lambda: hanging.starts() == 2)[0] == 0
    assert "stands still" in caplog.text


@pytest.mark.parametrize("workers", [1, 2])
def test_an_application_that_cannot_start_is_one_sentence_and_an_error(
    tmp_path: Path, workers: int
) -> None:
    program = (
        "from tests.support.failing_app import build_that_cannot_start as build\n"
        "from unexpired_server.ops.serve import serve\n"
        "from unexpired_server.settings import Settings\n"
        f"if __name__ == '__main__': serve(Settings(port=0, workers={workers}), build, print)\n"
    )
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "The database is newer than this server." in done.stderr
    assert "Traceback" not in done.stderr


def accepts(process: ServerProcess) -> bool:
    address = urlsplit(process.url)
    try:
        socket.create_connection((str(address.hostname), address.port or 0), timeout=1).close()
    except OSError:
        return False
    return True


def test_workers_count_attempts_together_and_end_with_a_killed_supervisor(
    serve: StartProcess,
) -> None:
    process = serve("--demo", "--workers", "4")
    wrong = {"username": "demo", "password": "wrong"}
    statuses = [process.post("/api/login", wrong)[0] for _ in range(20)]
    assert statuses == [401] * 10 + [429] * 10
    process.stop(signal.SIGKILL)
    wait_until(lambda: not accepts(process))
    assert "Traceback" not in process.log


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_node_drains_after_sigterm(serve: StartProcess, workers: str) -> None:
    process = serve("--demo", "--workers", workers, UNEXPIRED_DRAIN_SECONDS="3")
    token = process.sign_in("demo", "demo")["refreshToken"]
    assert process.ask("GET", "/readyz", None)[0] == 200
    process.child.send_signal(signal.SIGTERM)
    wait_until(lambda: process.ask("GET", "/readyz", None)[0] == 503)
    assert process.ask("GET", "/healthz", None)[0] == 200
    assert process.post("/api/refresh", {"refreshToken": token})[0] == 200
    assert process.child.wait(DEADLINE) in {0, -signal.SIGTERM}
    assert not accepts(process)
    assert process.child.stdout is not None
    process.child.stdout.close()
    assert "Traceback" not in process.log


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("signals", [(signal.SIGINT,), (signal.SIGTERM, signal.SIGTERM)])
def test_sigint_and_a_second_sigterm_end_a_drain_at_once(
    serve: StartProcess, workers: str, signals: tuple[signal.Signals, ...]
) -> None:
    process = serve("--demo", "--workers", workers, UNEXPIRED_DRAIN_SECONDS="600")
    for sig in signals:
        process.child.send_signal(sig)
        time.sleep(0.5)  # Two pending signals of a kind are one.
    process.child.wait(30)
    wait_until(lambda: not accepts(process))
    assert process.child.stdout is not None
    process.child.stdout.close()


def test_half_open_connections_do_not_keep_others_out(tmp_path: Path) -> None:
    """With 256 file descriptors, 260 connections that never send a complete head."""
    process = ServerProcess(tmp_path, "--demo")
    process.launcher = ("prlimit", "--nofile=256:256")
    process.start()
    address = urlsplit(process.url)
    half_open = []
    for i in range(260):
        connection = socket.create_connection((str(address.hostname), address.port or 0))
        connection.send(b"GET /healthz HTTP/1.1\r\nHost:" if i % 2 else b"")
        half_open.append(connection)
        if i % 20 == 0:
            assert process.ask("GET", "/healthz", None)[0] == 200
    for _ in range(20):
        assert process.ask("GET", "/healthz", None)[0] == 200
    for connection in half_open:
        connection.close()
    process.stop()
    assert "Too many open files" not in process.log
