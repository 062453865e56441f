"""Timers in an event loop with the restrictions of Pyodide's."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from unexpired.ports import LocalLock
from unexpired.timers import STEPS, Background, Wakeup, timeout_after

PREEMPTED = 0.02  # s; how long a busy machine may take between two lines
SHORT = 0.01  # s


class StrictLoop(asyncio.SelectorEventLoop):
    """Refuses a timer that is due before it has been set, as Pyodide's loop does."""

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
    """In a loop that accepts late timers the other tests could not fail."""

    async def main() -> None:
        async with asyncio.timeout(SHORT):
            await asyncio.sleep(1)

    with pytest.raises(ValueError, match="past"):
        run(main)


@pytest.mark.parametrize("seconds", [0, 1e-9, SHORT])
def test_the_shortest_sleep_is_valid(seconds: float) -> None:
    """A task that sleeps until a refresh is due may have nanoseconds left."""
    run(lambda: Wakeup().sleep(seconds))


def test_wake_all_ends_current_sleeps_only() -> None:
    """Later sleeps are not affected."""

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
def test_the_shortest_timeout_raises_timeout_error(seconds: float) -> None:
    """Not the ValueError of a timer that could not be set."""

    async def main() -> None:
        async with timeout_after(seconds):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        run(main)


def test_a_free_lock_is_acquired_with_the_shortest_timeout() -> None:
    """The timeout is for waiting only."""

    async def main() -> None:
        async with LocalLock().hold(SHORT):
            pass

    run(main)


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts the timers that have not fired; as in Pyodide's loop, none is ever cleared."""

    timers = 0

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        self.timers += 1

        def fire() -> None:
            self.timers -= 1
            callback(*args)

        return super().call_later(delay, fire, context=context)


def test_thousands_of_timeouts_share_a_few_timers_and_leave_none() -> None:
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        loop = cast("CountingLoop", runner.get_loop())

        async def main() -> None:
            for _ in range(1000):
                async with timeout_after(1.2), timeout_after(0.4):
                    pass
            assert loop.timers <= 3
            await asyncio.sleep(0.4)

        runner.run(main())
        assert loop.timers == 0


@pytest.mark.parametrize("seconds", [0.1, 0.3])
async def test_a_timeout_ends_in_time_beside_longer_ones(seconds: float) -> None:
    """The timer of the longer one is set already, for a later time."""
    began = time.monotonic()
    async with timeout_after(60):
        with pytest.raises(TimeoutError):
            async with timeout_after(seconds):
                await asyncio.sleep(60)
    assert seconds <= time.monotonic() - began < 60 / STEPS


async def test_a_task_in_the_background_is_kept_until_its_end_and_its_error_is_not_reported() -> (
    None
):
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def fail() -> None:
        raise ValueError

    background = Background()
    tasks = [background.start(fail()), background.start(asyncio.sleep(0))]
    tasks[1].cancel()
    assert {*background} == {*tasks}
    await asyncio.wait(tasks)
    await asyncio.sleep(0)
    assert [*background] == []
    tasks.clear()
    gc.collect()
    assert reported == []
