"""An event loop in virtual time, which skips to the next timer: months pass in seconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _SkippingSelector(selectors.BaseSelector):
    """Selects nothing, and advances the loop's time instead of waiting."""

    def __init__(self) -> None:
        self.time = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("deadlock: a task waits and no timer is left")
        self.time += timeout
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def get_map(self) -> dict[Any, selectors.SelectorKey]:
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, in seconds from 0."""

    def __init__(self) -> None:
        self._time_source = _SkippingSelector()
        super().__init__(self._time_source)
        # Coarser than the rounding of a float after years, or a timer might never become due.
        self._clock_resolution = 1e-6

    def stand_still(self, seconds: float) -> None:
        """Let time pass while nothing runs; what is due by then runs afterwards, all at once."""
        self._time_source.time += seconds

    def time(self) -> float:
        """Return the virtual time."""
        return self._time_source.time


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to the end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)
