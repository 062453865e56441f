"""What the workers of a node know of each other: whether one of them has lost the database.

A load balancer asks one worker whether the node is ready, and sends requests to all of them. A
worker that cannot ask which sessions were revoked accepts their access tokens, so it makes the
whole node not ready.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from unexpired_server.ops.metrics import SHARED_FOLDER

PREFIX = "lost-"

LASTS_SECONDS = 15.0
"""How long a note of a loss counts: longer than two attempts that time out, in which it is written
again, and not much longer, because a worker that was killed cannot take it back."""


class Siblings:
    """Notes in the folder that the workers of one node share; there is none for one process.

    Args:
        now: A clock that never goes back and is the same for all processes, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        shared = os.environ.get(SHARED_FOLDER)
        self._folder = Path(shared) if shared else None
        self._has_lost = False

    def note(self, *, has_lost: bool) -> None:
        """Let the others know whether this worker has lost the database."""
        if self._folder is None or not (has_lost or self._has_lost):
            return
        self._has_lost = has_lost
        note = self._folder / f"{PREFIX}{os.getpid()}"
        with suppress(OSError):  # On a full disk each worker speaks for itself only.
            if has_lost:
                note.write_text(str(self._now()))
            else:
                note.unlink(missing_ok=True)

    async def problem(self) -> str | None:
        """Return in a sentence that a worker has lost the database, or None."""
        if self._folder is None or not any(map(self._counts, self._folder.glob(f"{PREFIX}*"))):
            return None
        return "A worker of this node cannot ask the database which sessions have ended."

    def _counts(self, note: Path) -> bool:
        try:
            return self._now() - float(note.read_text()) < LASTS_SECONDS
        except FileNotFoundError:
            return False
        except ValueError:  # It is being written.
            return True
