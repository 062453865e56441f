"""How long to wait before the next refresh after one that got no answer. Pure.

Full jitter (Brooker, "Exponential Backoff and Jitter", 2015): the pages of a thousand people who
lost the same server must not all come back in the same second.
"""

from __future__ import annotations

FIRST_STEP = 1.0  # s
LONGEST_STEP = 30.0  # s
SHORTEST_PAUSE = 0.1  # s, so that the luckiest draw is still a pause


def backoff(attempt: int, jitter: float) -> float:
    """Return the seconds to wait before the next attempt.

    Args:
        attempt: How many attempts in a row have failed, at least 1.
        jitter: A random number from 0 to 1.
    """
    step = min(FIRST_STEP * 2.0 ** min(attempt - 1, 16), LONGEST_STEP)
    return max(step * jitter, SHORTEST_PAUSE)
