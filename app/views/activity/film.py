"""How a recording is played: without its idle stretches, and in half a minute at most."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

IDLE = 1.0  # s; a stretch in which nothing happens is shortened to this
LONGEST = 30.0  # s; a longer film runs faster


class Film:
    """The moments of a recording, by the seconds since the film began.

    Args:
        times: When something happened, ascending; at least one.

    Attributes:
        length: How long it takes, in seconds.
    """

    def __init__(self, times: Sequence[float]) -> None:
        gaps = [min(after - before, IDLE) for before, after in pairwise(times)]
        speed = max(sum(gaps) / LONGEST, 1)
        self._times = times
        self._positions = list(accumulate((gap / speed for gap in gaps), initial=0.0))
        self.length = self._positions[-1]

    def moment(self, position: float) -> float:
        """Return the time of the recording that a position of the film shows."""
        index = bisect_right(self._positions, position) - 1
        if index >= len(self._times) - 1:
            return self._times[-1]
        start, end = self._positions[index : index + 2]
        before, after = self._times[index : index + 2]
        return before + (after - before) * (position - start) / (end - start)
