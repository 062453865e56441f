"""Numbers that are read where they live, at the moment that somebody asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Literal

from unexpired_server.ops.background import log_fault

Read = Callable[[], float | None]
"""Returns the number now; None while there is none."""

Across = Literal["sum", "max", "min"]
"""How the numbers of several workers become one."""

COMBINE: dict[Across, Callable[[Iterable[float]], float]] = {"sum": sum, "max": max, "min": min}


class LiveGauge:
    """One number, from one source or of several together.

    Args:
        name: Its whole name.
        text: What it counts, and in which unit.
        across: How several sources or workers become one.
    """

    def __init__(self, name: str, text: str, across: Across) -> None:
        self.name = name
        self.text = text
        self.across = across
        self.sources: list[Read] = []

    def value(self) -> float | None:
        """Return the number now; None when no source has one."""
        values = [value for read in self.sources if (value := _read(read)) is not None]
        return COMBINE[self.across](values) if values else None


def _read(read: Read) -> float | None:
    try:
        value = read()
    except Exception as exc:  # noqa: BLE001 - one broken source must not hide all other metrics
        log_fault(exc)
        return None
    return value if value is not None and math.isfinite(value) else None
