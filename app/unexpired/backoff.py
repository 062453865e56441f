"""The delay before the next refresh after failed attempts. Pure.

Full jitter (Brooker, "Exponential Backoff and Jitter", 2015): a thousand pages that lost the same
server must not all come back in the same second.
"""

from __future__ import annotations

BASE_DELAY = 1.0  # s
MAX_DELAY = 30.0  # s
MIN_DELAY = 0.1  # s, so that the smallest jitter still leaves a pause


def backoff(attempt: int, jitter: float) -> float:
    """Return the seconds to wait before the next attempt.

    Args:
        attempt: How many attempts in a row have failed, at least 1.
        jitter: A random number from 0 to 1.
    """
    step = min(BASE_DELAY * 2.0 ** min(attempt - 1, 16), MAX_DELAY)
    return max(step * jitter, MIN_DELAY)
