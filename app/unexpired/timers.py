"""Timeouts, interruptible sleeps and tasks in the background, for every event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

MIN_TIMEOUT = 0.05  # s
MIN_PAUSE = 0.01  # s; between two looks at what is due
STEPS = 4  # A timeout is counted in steps, so that we see whether the loop ran during them.

Result = TypeVar("Result")


def timeout_after(seconds: float | None) -> AbstractAsyncContextManager[object]:
    """Limit a block to this many seconds in which the event loop runs; None for no limit.

    A loop that stood still, for a long computation or a dialog, finds its timers due before it
    reads what has arrived meanwhile. So time in which it stood still does not count.

    All timeouts of a loop share their timers: Pyodide's never clears one, so with a timer each,
    thousands of short calls would each leave one that fires long after it. A block is ended at most
    ``STEPS * MIN_PAUSE`` too late, 0.04 s, and never too early.

    Pyodide's event loop raises if a timer is due before it has been set, where other loops call it
    at once. So a timeout is never shorter than the time it may take to set it.

    Raises:
        TimeoutError: If the time is over.
    """
    return asyncio.timeout(None) if seconds is None else _Limit(seconds)


class _Limit:
    """A block with a timeout, which is counted in steps.

    A step that came late is repeated, but never two in a row: a hidden page's timers are always
    late; its timeouts take twice as long, and do end.

    It cancels the task as ``asyncio.timeout`` does, with which a block would take 2 µs more.

    Args:
        seconds: The longest that it may take.

    Attributes:
        due: When the current step ends, by the loop's time.
    """

    def __init__(self, seconds: float) -> None:
        self._step = max(seconds, MIN_TIMEOUT) / STEPS
        self._left = STEPS
        self._was_late = False
        self._is_over = False
        self._has_ended = False
        self.due: float = 0.0

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a timeout needs a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._loop = asyncio.get_running_loop()
        self._watchdog = _watchdog(self._loop)
        self.due = self._loop.time() + self._step
        self._watchdog.watch(self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watchdog.forget(self)
        self._has_ended = True
        if not self._is_over:
            return
        # Who else has cancelled the task meant something else than the timeout.
        is_ours = self._task.uncancel() <= self._cancelling
        if is_ours and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def end_step(self, now: float) -> bool:
        """End a step that is due; return whether there is another one."""
        is_late = now > self.due + self._step
        self._was_late = is_late and not self._was_late
        self._left -= not self._was_late
        self.due = now + self._step
        if not self._left:
            self._loop.call_soon(self._end)  # What has arrived by now comes first.
        return self._left > 0

    def _end(self) -> None:
        if not self._has_ended:
            self._is_over = True
            self._task.cancel()


class _Watchdog:
    """Ends the steps of all limits of one event loop.

    A timer that was set is kept until it fires, even if nothing needs it any longer. Another one is
    set only for an earlier time: so there are few, however many blocks begin and end.
    """

    def __init__(self) -> None:
        self._limits: set[_Limit] = set()
        self._timers: list[float] = []  # When they fire, the earliest first.

    def watch(self, limit: _Limit) -> None:
        """End the steps of a limit when they are due."""
        self._limits.add(limit)
        self._set_timer(limit.due)

    def forget(self, limit: _Limit) -> None:
        """Let a limit be: its block is over."""
        self._limits.discard(limit)

    def _set_timer(self, due: float) -> None:
        if self._timers and self._timers[0] <= due:
            return
        loop = asyncio.get_running_loop()
        pause = max(due - loop.time(), MIN_PAUSE)
        self._timers.insert(0, loop.time() + pause)
        loop.call_later(pause, self._fire)

    def _fire(self) -> None:
        """End the steps that are due. It is the earliest timer: they fire in order."""
        del self._timers[0]
        now = asyncio.get_running_loop().time()
        for limit in [it for it in self._limits if it.due <= now]:
            if not limit.end_step(now):
                self._limits.discard(limit)
        if self._limits:
            self._set_timer(min(limit.due for limit in self._limits))


_watchdogs: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watchdog] = WeakKeyDictionary()


def _watchdog(loop: asyncio.AbstractEventLoop) -> _Watchdog:
    """Return that of an event loop."""
    found = _watchdogs.get(loop)
    if found is None:
        found = _watchdogs[loop] = _Watchdog()
    return found


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


class Completion(Generic[Result]):
    """The end of a task that any number wait for, and that goes on when none of them does.

    It wakes all of them in one callback, and their futures have none besides their own:
    ``asyncio.wait`` would take three turns of the event loop for each, this takes one. In a page a
    turn costs 0.04 to 0.07 ms, and there may be a hundred.

    Args:
        task: The task.

    Attributes:
        task: The task.
    """

    def __init__(self, task: asyncio.Task[Result]) -> None:
        self.task: asyncio.Task[Result] = task
        self._waiters: dict[asyncio.Future[None], None] = {}  # In the order in which they came.
        task.add_done_callback(self._wake_all)

    async def is_reached_within(self, seconds: float | None) -> bool:
        """Wait for the end; return whether it has come."""
        if self.task.done():
            return True
        waiter: asyncio.Future[None] = asyncio.Future(loop=asyncio.get_running_loop())
        self._waiters[waiter] = None
        try:
            async with timeout_after(seconds):
                await waiter
        except TimeoutError:
            return self.task.done()
        finally:
            del self._waiters[waiter]
        return True

    def _wake_all(self, _: asyncio.Task[Result]) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


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
