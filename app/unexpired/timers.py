"""Timeouts, interruptible sleeps and tasks in the background, for every event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

MIN_TIMEOUT = 0.05  # s
STEPS = 4  # A timeout is counted in steps, so that we see whether the loop ran during them.

Result = TypeVar("Result")


@asynccontextmanager
async def timeout_after(seconds: float | None) -> AsyncIterator[None]:
    """Limit a block to this many seconds in which the event loop runs; None for no limit.

    A loop that stood still, for a long computation or a dialog, finds its timers due before it
    reads what has arrived meanwhile. So time in which it stood still does not count.

    Pyodide's event loop raises if a timer is due before it has been set, where other loops call it
    at once. So a timeout is never shorter than the time it may take to set it.

    Raises:
        TimeoutError: If the time is over.
    """
    async with asyncio.timeout(None) as limit:
        if seconds is None:
            yield
            return
        countdown = _Countdown(limit, max(seconds, MIN_TIMEOUT) / STEPS)
        try:
            yield
        finally:
            countdown.stop()


class _Countdown:
    """Ends a timeout after some steps; one that came late is repeated, but never two in a row.

    A hidden page's timers are always late: its timeouts take twice as long, and do end.
    """

    def __init__(self, limit: asyncio.Timeout, step: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._step = step
        self._left = STEPS
        self._was_late = False
        self._start_step()

    def stop(self) -> None:
        """Stop counting."""
        self._timer.cancel()

    def _start_step(self) -> None:
        self._due = self._loop.time() + self._step
        self._timer = self._loop.call_later(self._step, self._end_step)

    def _end_step(self) -> None:
        is_late = self._loop.time() > self._due + self._step
        self._was_late = is_late and not self._was_late
        self._left -= not self._was_late
        if self._left:
            self._start_step()
        else:
            self._limit.reschedule(self._loop.time())


class Wakeup:
    """Wakes everything that sleeps on it."""

    def __init__(self) -> None:
        self._sleepers: set[asyncio.Future[None]] = set()

    def wake_all(self) -> None:
        """End all current sleeps; later ones are not affected."""
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Sleep for ``seconds``, or until ``wake_all()`` is called.

        ``asyncio.wait`` counts from when its timer is set, so even the shortest sleep is valid in
        Pyodide's event loop.
        """
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.add(sleeper)
        try:
            await asyncio.wait({sleeper}, timeout=seconds)
        finally:
            self._sleepers.discard(sleeper)


class Background:
    """Tasks that go on when nobody waits for them any longer."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        """Return those that are not done."""
        return iter(set(self._tasks))

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Start a task."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # So that asyncio does not report that nobody has looked at it.
