"""The measured servers, each in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = HERE / "peers"
PEERS_BIN = HERE / ".venv" / "bin"
OURS = (sys.executable, "-m", "server", "serve")
START_SECONDS = 60.0
STOP_SECONDS = 600.0
"""A server finishes what it is doing, and a sweep of ten million sessions takes minutes."""


class Server:
    """A running server.

    Args:
        child: Its process.
        port: Where it listens, on 127.0.0.1.
    """

    def __init__(self, child: subprocess.Popen[bytes], port: int) -> None:
        self._child = child
        self.url = f"http://127.0.0.1:{port}"

    @property
    def memory(self) -> float:
        """Its resident memory, in MiB."""
        asked = ["ps", "-o", "rss=", "-p", str(self._child.pid)]
        return int(subprocess.check_output(asked)) / 1024

    @property
    def processor_seconds(self) -> float:
        """Its processor time so far, including its children's."""
        pids = [self._child.pid, *_children(self._child.pid)]
        return sum(map(_processor_seconds, pids))


@contextmanager
def serving(
    command: Sequence[str | Path], environment: Mapping[str, str], port: int, log: Path
) -> Iterator[Server]:
    """Run a server; wait until it accepts connections.

    Args:
        command: What to start.
        environment: Variables in addition to this process's.
        port: Where it will listen.
        log: The file for its output.
    """
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "NODE_ENV": "production", **environment}
    with log.open("ab") as file:
        child = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=file, stderr=file)
    try:
        _wait(child, port, log)
        yield Server(child, port)
    finally:
        child.terminate()
        child.wait(STOP_SECONDS)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def _processor_seconds(pid: int) -> float:
    # Split after the name, which may contain spaces; times are fields 14 and 15 (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
