"""Waiting, bounded in ways that hold in every event loop."""

from __future__ import annotations

import asyncio

SHORTEST = 0.05  # s


def timeout_after(seconds: float | None) -> asyncio.Timeout:
    """Return ``asyncio.timeout`` of so many seconds, None for no bound.

    Pyodide's event loop raises for a timer whose instant has passed by the time it is set, where
    others fire it at once; so a bound is never as short as the way from here to there may take.
    """
    return asyncio.timeout(None if seconds is None else max(seconds, SHORTEST))


class Wakeup:
    """Wakes all who sleep by it."""

    def __init__(self) -> None:
        self._sleepers: set[asyncio.Future[None]] = set()

    def wake_all(self) -> None:
        """Wake everybody; who goes to sleep afterwards is not woken."""
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Sleep so many seconds, however few, or until the wakeup rings.

        ``asyncio.wait`` counts from when its timer is set: no instant that could have passed.
        """
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.add(sleeper)
        try:
            await asyncio.wait({sleeper}, timeout=seconds)
        finally:
            self._sleepers.discard(sleeper)
