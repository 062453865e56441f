"""Waiting, in an event loop that refuses what Pyodide's does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from unexpired.ports import LocalLock
from unexpired.timers import Wakeup, timeout_after

PREEMPTED = 0.02  # s; what the machine takes between two lines when others want it, too
SHORT = 0.01  # s


class StrictLoop(asyncio.SelectorEventLoop):
    """Refuses a timer whose instant has passed by the time it is set, as Pyodide's loop does."""

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        if when < self.time() + PREEMPTED:
            raise ValueError("Can't schedule in the past")
        return super().call_at(when, callback, *args, context=context)

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        return super().call_at(self.time() + delay, callback, *args, context=context)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=StrictLoop) as runner:
        runner.run(main())


def test_this_loop_refuses_what_pyodides_does() -> None:
    """The other tests would hold nothing in a loop that is patient with late timers."""

    async def main() -> None:
        async with asyncio.timeout(SHORT):
            await asyncio.sleep(1)

    with pytest.raises(ValueError, match="past"):
        run(main)


@pytest.mark.parametrize("seconds", [0, 1e-9, SHORT])
def test_however_short_a_sleep_is_it_is_slept(seconds: float) -> None:
    """A watcher that slept until a refresh was due died of the last nanoseconds."""
    run(lambda: Wakeup().sleep(seconds))


def test_the_bell_wakes_who_sleeps_and_nobody_else() -> None:
    """A ring ends the sleeps that were begun, and is not kept for later ones."""

    async def main() -> None:
        wakeup = Wakeup()
        wakeup.wake_all()
        sleeper = asyncio.ensure_future(wakeup.sleep(60))
        await asyncio.sleep(0.01)
        assert not sleeper.done()
        wakeup.wake_all()
        await sleeper

    run(main)


@pytest.mark.parametrize("seconds", [0, 1e-9, SHORT])
def test_a_bound_that_is_over_at_once_ends_what_waits(seconds: float) -> None:
    """The caller hears TimeoutError, not that a timer could not be set."""

    async def main() -> None:
        async with timeout_after(seconds):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        run(main)


def test_a_lock_is_had_with_hardly_any_time_to_wait_for_it() -> None:
    """A lock that is free is had, however little time is left."""

    async def main() -> None:
        async with LocalLock().hold(SHORT):
            pass

    run(main)
