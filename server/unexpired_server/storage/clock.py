"""The one clock that all nodes share: the database's.

What one node writes, another judges: when a session was refreshed, when it ended. A node whose own
clock is wrong would end sessions, or let them live on. So a node looks at the database's clock now
and then, and between two looks counts on with its monotonic clock, which nobody sets.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Double, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from unexpired_server.settings import DAY
from unexpired_server.storage.database import Database

MAX_SKEW = 5.0
"""Seconds that a node's own clock may differ from the database's: more than the delay of any
query, and less than any grace."""

STEADY_SECONDS = DAY
"""How long the database's clock must have run evenly before anything is deleted by it."""

logger: logging.Logger = logging.getLogger("unexpired.server")


class _UnixTime(FunctionElement[float]):
    """The database's time, in Unix seconds."""

    type = Double()
    inherit_cache = True


@compiles(_UnixTime)
def _unix_time(_element: _UnixTime, _compiler: Any, **_options: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)"


@compiles(_UnixTime, "sqlite")
def _unix_time_of_sqlite(_element: _UnixTime, _compiler: Any, **_options: Any) -> str:
    return "(julianday('now') - 2440587.5) * 86400.0"


LOOK = select(_UnixTime().label("now"))


def _steady_clock() -> Callable[[], float]:
    """Return a clock that goes on while the machine sleeps, where the system has one."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    if boot_time is not None:
        with suppress(OSError):  # In WebAssembly it has a number, and does not exist.
            time.clock_gettime(boot_time)
            return partial(time.clock_gettime, boot_time)
    return time.monotonic


TICKS: Callable[[], float] = _steady_clock()


class DatabaseClock:
    """The database's time, in Unix seconds. Until the first look it is the node's own.

    Args:
        database: The database.
        wall: The node's own clock, in Unix seconds.
        ticks: Seconds that nobody sets, from any start.
    """

    def __init__(
        self,
        database: Database,
        wall: Callable[[], float] = time.time,
        ticks: Callable[[], float] = TICKS,
    ) -> None:
        self._database = database
        self._wall = wall
        self._ticks = ticks
        self._offset = wall() - ticks()
        self._has_looked = False
        self._jumped_at = float("-inf")

    def __call__(self) -> float:
        """Return the database's time."""
        return self._ticks() + self._offset

    @property
    def skew(self) -> float:
        """The node's own clock minus the database's, in seconds."""
        return self._wall() - self()

    async def look(self) -> None:
        """Read the database's clock.

        Raises:
            Unavailable: The database does not respond; this clock runs on.
        """
        before = self._ticks()
        (row,) = await self._database.rows(LOOK)
        after = self._ticks()
        middle, error = (before + after) / 2, (after - before) / 2
        moved = row.now - middle - self._offset
        # A look that took long tells less than what is known already.
        if abs(moved) > error:
            self._offset += moved
            if self._has_looked and abs(moved) - error > MAX_SKEW:
                self._jumped_at = after
                logger.error("the database's clock has jumped by %.0f s", moved)
        self._has_looked = True

    async def problem(self) -> str | None:
        """Return in a sentence that the node's own clock is wrong, or None."""
        if abs(self.skew) <= MAX_SKEW:
            return None
        direction = "ahead of" if self.skew > 0 else "behind"
        return f"This node's clock is {abs(self.skew):.0f} s {direction} the database's."

    def may_condemn(self) -> bool:
        """Return whether anything may be deleted because of its age.

        Only while two clocks agree: when they do not, nobody knows which one is right. And only
        when the database's has run evenly for a day, because a replica that takes over, or a
        machine that starts before it knows the time, would condemn everything.
        """
        is_steady = self._ticks() - self._jumped_at > STEADY_SECONDS
        return is_steady and abs(self.skew) <= MAX_SKEW
