"""What the workers of the supervisor's tests do; each process imports this module."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from unexpired_server.ops.supervisor import Lifeline

CANNOT_START = 3


@dataclass(frozen=True)
class Script:
    """A worker that does the next thing in a list at each start, and the last one from then on.

    Args:
        folder: Has a file for each start.
        *steps: ``fail``, ``slow`` (start slowly, then serve), ``serve``, ``die`` (serve, then end)
            and ``hang`` (serve, then stand still).
    """

    folder: Path
    steps: tuple[str, ...]

    def starts(self) -> int:
        """Return how many workers have started."""
        return len(list(self.folder.glob("start-*")))

    def __call__(self, lifeline: Lifeline) -> None:
        """Do the next step."""
        number = self.starts()
        (self.folder / f"start-{number}").touch()
        step = self.steps[min(number, len(self.steps) - 1)]
        if step == "fail":
            sys.exit(CANNOT_START)
        if step == "slow":
            time.sleep(1)
        lifeline.beat()
        if step == "die":
            sys.exit(1)
        while True:
            time.sleep(0.05)
            if step != "hang":
                lifeline.beat()
