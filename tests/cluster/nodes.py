"""One node: the server with its workers, from this tree or from an older one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.connections import Failed, ask_once
from tests.cluster.processes import (
    Child,
    Children,
    ClusterError,
    children_of,
    free_port,
    run,
    wait_until,
)
from tests.support.paths import ROOT

WORKERS = 2
FAKETIME = "*-linux-gnu/faketime/libfaketimeMT.so.1"


def faketime_library() -> Path | None:
    """Return the library that shifts a program's clock, when it is installed."""
    return next(Path("/usr/lib").glob(FAKETIME), None)


def environment_of(tree: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a program of a tree: nothing of ours but the settings."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("UNEXPIRED_")}
    # Three processes a node would compile all that they import, at each start.
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    # Before the packages' own paths, which lead to this tree.
    paths = os.pathsep.join(str(tree / name) for name in ("app", "server", "."))
    named = {f"UNEXPIRED_{name.upper()}": value for name, value in settings.items()}
    return {**inherited, **named, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}


async def command(tree: Path, settings: Mapping[str, str], *words: str, stdin: str = "") -> str:
    """Run one of the server's commands; return what it printed."""
    given = (sys.executable, "-m", "server", *words)
    return await run(*given, environment=environment_of(tree, settings), stdin=stdin)


class Node:
    """``python -m server serve`` with two workers, on a port that stays the same.

    Args:
        name: Its name for the proxy, and its log's.
        folder: Keeps its log.
        settings: Its settings by name.
        children: Starts and finally stops it.
        tree: The sources that it runs.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        settings: Mapping[str, str],
        children: Children,
        tree: Path = ROOT,
    ) -> None:
        self.name = name
        self.port = free_port()
        self.settings = dict(settings)
        self.tree = tree
        self._folder = folder
        self._children = children
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The supervisor's process.

        Raises:
            ClusterError: The node was never started.
        """
        if self._child is None:
            raise ClusterError(f"node {self.name} was not started")
        return self._child

    @property
    def workers(self) -> list[int]:
        """The process ids of the workers."""
        # One more child keeps track of the semaphores that the others share.
        return [pid for pid in children_of(self.child.pid) if b"resource_tracker" not in _line(pid)]

    def start(self, clock: str | None = None) -> None:
        """Start the node.

        Args:
            clock: How far its clock is from ours, such as ``+9d``; None for not at all.
        """
        environment = environment_of(self.tree, {**self.settings, "port": str(self.port)})
        environment["TMPDIR"] = str(self._folder)  # A killed node leaves its metrics there.
        if clock is not None:
            environment |= _wrong_clock(clock)
        words = (sys.executable, "-m", "server", "serve", "--workers", str(WORKERS))
        self._child = self._children.start(words, self._folder / f"{self.name}.log", environment)

    async def restart(self, clock: str | None = None) -> None:
        """Stop the node as a deployment does, and start it again."""
        await self.child.stop(signal.SIGTERM)
        self.start(clock)

    async def is_ready(self) -> bool:
        """Return whether the node says that it can serve."""
        return await self._answers("/readyz")

    async def wait_until_ready(self) -> None:
        """Wait until the node says that it can serve.

        Raises:
            ClusterError: It has ended, or does not get ready.
        """
        await wait_until(f"node {self.name} is ready", self._is_ready_or_ended)
        if not self.child.is_running:
            raise ClusterError(f"node {self.name} ended with {self.child.exit_code}")

    async def wait_until_it_answers(self) -> None:
        """Wait until the node answers, ready or not."""

        async def answers() -> bool:
            return await self._answers("/healthz")

        await wait_until(f"node {self.name} answers", answers)

    async def _is_ready_or_ended(self) -> bool:
        return not self.child.is_running or await self.is_ready()

    async def _answers(self, path: str) -> bool:
        try:
            return (await ask_once(self.port, "GET", path)).status == 200
        except Failed:
            return False


def _wrong_clock(clock: str) -> dict[str, str]:
    library = faketime_library()
    if library is None:
        raise ClusterError("faketime is not installed")
    # The event loop's clock stays: only what the machine calls the time of day is wrong.
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": clock,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
