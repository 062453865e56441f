"""Whether this node can serve: named checks that run side by side, each within a time bound.

Results are shared for a moment, so several load balancers that probe often cost one run of the
checks. A check that hangs is a reason not to be ready, and is not started again until it ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from unexpired_server.errors import Reason, Unavailable
from unexpired_server.ops.background import log_fault

Check = Callable[[], Awaitable[str | None]]
"""Returns None when all is well, or else a sentence for operators, which everybody may read."""

BOUND_SECONDS = 2.0
SHARED_SECONDS = 0.1

logger: logging.Logger = logging.getLogger("unexpired.server")


class Readiness:
    """The checks of one node.

    Args:
        now: A clock that never goes back, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._checks: dict[str, Check] = {}
        self._running: dict[str, asyncio.Task[str | None]] = {}
        self._run: asyncio.Task[tuple[Reason, ...]] | None = None
        self._run_until = 0.0
        self._failing: set[str] = set()

    def add(self, name: str, check: Check) -> None:
        """Add a check, or replace the one of that name.

        Args:
            name: A stable word for programs and runbooks, such as ``database``.
            check: What to ask.
        """
        self._checks[name] = check

    async def check(self) -> None:
        """Run every check, or wait for a run that has begun, or use one that has just ended.

        Raises:
            Unavailable: At least one check has a reason.
        """
        if self._run is None or (self._run.done() and self._now() >= self._run_until):
            self._run = asyncio.create_task(self._run_all())
        # Other probes wait for the same run, so one that goes away must not cancel it.
        reasons = await asyncio.shield(self._run)
        if reasons:
            raise Unavailable(reasons=reasons)

    async def _run_all(self) -> tuple[Reason, ...]:
        self._running = {name: self._started(name, check) for name, check in self._checks.items()}
        if self._running:
            await asyncio.wait(self._running.values(), timeout=BOUND_SECONDS)
        found = tuple(
            Reason(name, sentence)
            for name, task in self._running.items()
            if (sentence := _outcome(task))
        )
        self._log_change(found)
        self._run_until = self._now() + SHARED_SECONDS
        return found

    def _started(self, name: str, check: Check) -> asyncio.Task[str | None]:
        task = self._running.get(name)
        if task is None or task.done():
            return asyncio.create_task(_guarded(name, check))
        return task

    def _log_change(self, reasons: Iterable[Reason]) -> None:
        """Log only a change: probes come every few seconds, and sentences may hold numbers."""
        failing = {reason.check for reason in reasons}
        if failing == self._failing:
            return
        self._failing = failing
        if failing:
            texts = [f"{reason.check}: {reason.message}" for reason in reasons]
            logger.warning("not ready: %s", " ".join(texts))
        else:
            logger.info("ready again")


def _outcome(task: asyncio.Task[str | None]) -> str | None:
    return task.result() if task.done() else f"No result within {BOUND_SECONDS:.0f} seconds."


async def _guarded(name: str, check: Check) -> str | None:
    try:
        return await check()
    except Unavailable:
        return f"The {name} is unavailable."
    except Exception as exc:  # noqa: BLE001 - a check with a bug is no proof that all is well
        log_fault(exc)
        return "The check failed; the log says where."
