"""Timeouts and interruptible sleeps that work in every event loop."""

from __future__ import annotations

import asyncio

MIN_TIMEOUT = 0.05  # s


def timeout_after(seconds: float | None) -> asyncio.Timeout:
    """Return ``asyncio.timeout`` for this many seconds; None for no limit.

    Pyodide's event loop raises if a timer is due before it has been set, where other loops call it
    at once. So a timeout is never shorter than the time it may take to set it.
    """
    return asyncio.timeout(None if seconds is None else max(seconds, MIN_TIMEOUT))


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
