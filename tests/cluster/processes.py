"""Programs on this machine: found, started with a log, signalled, and all of them stopped."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.05
STOP_SECONDS = 30.0
COMMAND_SECONDS = 120.0
BLOCKS = (12000, 32000)
"""Below the ports that the system gives to connections, of which one could take a stopped node's.

Two runs side by side have ports of different blocks."""
BLOCK = 400
ACCOUNT = "postgres"
"""PostgreSQL and PgBouncer refuse to run as root, so they run as Debian's account for them."""


class ClusterError(Exception):
    """A part of the cluster did not do what the harness itself needs; no result of a row."""


def find_program(name: str) -> str | None:
    """Return the path of a program, also where Debian keeps PostgreSQL's and the daemons."""
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda it: it.parent.name)
    # Before the path: what Debian has there are wrappers that look for its own servers.
    folders = [*map(str, reversed(newest)), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    return shutil.which(name, path=os.pathsep.join(folders))


def program(name: str) -> str:
    """Return the path of a program.

    Raises:
        ClusterError: It is not installed.
    """
    found = find_program(name)
    if found is None:
        raise ClusterError(f"{name} is not installed")
    return found


def free_port() -> int:
    """Return a port of loopback that nothing listens on, and that no other run is given."""
    return next(port for port in _block() if _is_free(port))


@cache
def _block() -> Iterator[int]:
    """Return this process' own ports, over and over."""
    for first in range(*BLOCKS, BLOCK):
        holder = socket.socket()
        try:
            holder.bind((LOOPBACK, first))
        except OSError:
            holder.close()
        else:
            holder.detach()  # It stays open until this process ends, so nobody takes the block.
            return cycle(range(first + 1, first + BLOCK))
    raise ClusterError("all ports are taken by other runs")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, so that a connection that has ended is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def as_account(command: Sequence[str]) -> list[str]:
    """Return a command that runs without root's rights, where we have them."""
    if os.geteuid() != 0:
        return list(command)
    drop = ("--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups", "--")
    return [program("setpriv"), *drop, *command]


def give_to_account(path: Path) -> None:
    """Make a file or a folder the database's own."""
    if os.geteuid() == 0:
        shutil.chown(path, ACCOUNT, ACCOUNT)


async def run(*command: str, environment: Mapping[str, str] | None = None, stdin: str = "") -> str:
    """Run a command to its end, without stopping the load; return what it printed.

    Raises:
        ClusterError: It failed, or took too long.
    """
    child = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            printed, _ = await child.communicate(stdin.encode())
    except BaseException:
        with suppress(ProcessLookupError):
            child.kill()
        raise
    if child.returncode:
        raise ClusterError(f"{' '.join(command)} ended with {child.returncode}: {printed.decode()}")
    return printed.decode()


async def wait_until(
    what: str, condition: Callable[[], Awaitable[bool]], seconds: float = 120
) -> None:
    """Wait for a condition of the cluster.

    Raises:
        ClusterError: It did not come true in time.
    """
    ends = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > ends:
            raise ClusterError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(POLL_SECONDS)


def running() -> Iterator[tuple[int, int, int]]:
    """Yield id, parent and process group of every process that has not ended."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            # The name, in brackets, may hold anything; the fields are behind the last bracket.
            state, parent, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if state != "Z":
                yield int(entry.name), int(parent), int(group)


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started and that run."""
    return [child for child, parent, _ in running() if parent == pid]


def send(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to processes, of which some may have ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


class Child:
    """One long-running program, in a process group of its own.

    Args:
        command: The program and its arguments.
        log: The file that its output is appended to.
        environment: Its variables; ours when None.
    """

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - programs that we found ourselves
                command,
                cwd=log.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.log = log
        self.pid = self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the program itself still runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code; negative for a signal, None while it runs."""
        return self._process.poll()

    @property
    def family(self) -> list[int]:
        """The program, what it started, and what is left of its group when it is gone itself."""
        return [
            pid
            for pid, parent, group in running()
            if self.pid in {pid, group} or (self.is_running and parent == self.pid)
        ]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program itself."""
        if self.is_running:
            self._process.send_signal(number)

    def freeze(self) -> None:
        """Stop the program and all that it started, in the middle of whatever they do."""
        send(self.family, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        send(self.family, signal.SIGCONT)

    def kill(self) -> None:
        """End the program and all that it started at once."""
        send(self.family, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end.

        Raises:
            ClusterError: The program does not end.
        """
        self.send(number)

        async def has_ended() -> bool:
            return not self.is_running

        await wait_until(f"{self.log.stem} ends", has_ended, STOP_SECONDS)


class Children:
    """All programs that were started; at the end of the context none of them is left."""

    def __init__(self) -> None:
        self._started: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for child in reversed(self._started):
            with suppress(subprocess.TimeoutExpired):  # The others must end all the same.
                child.kill()

    def start(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> Child:
        """Start a program."""
        child = Child(command, log, environment)
        self._started.append(child)
        return child
