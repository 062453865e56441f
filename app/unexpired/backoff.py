"""The delay before the next refresh, after failed attempts and after successful ones. Pure.

Full jitter (Brooker, "Exponential Backoff and Jitter", 2015): a thousand pages that lost the same
server must not all come back in the same second.
"""

from __future__ import annotations

BASE_DELAY = 1.0  # s
MAX_DELAY = 30.0  # s
MIN_PACE = 1.0  # s between two refreshes of a session, even if each brings a dead token
MIN_DELAY = 0.1  # s, so that the smallest jitter still leaves a pause


def backoff(attempt: int, jitter: float) -> float:
    """Return the seconds to wait before the next attempt.

    Args:
        attempt: How many attempts in a row have failed, at least 1.
        jitter: A random number from 0 to 1.
    """
    step = min(BASE_DELAY * 2.0 ** min(attempt - 1, 16), MAX_DELAY)
    return max(step * jitter, MIN_DELAY)


def next_pace(pace: float, interval: float, lifetime: float | None) -> float:
    """Return the least seconds from a successful refresh to the next one.

    It doubles as long as the tokens are of no use: refreshed as soon as the pace allows, although
    by their own lifetime they had long to go.

    Args:
        pace: The pace so far, in seconds.
        interval: The seconds since the refresh before.
        lifetime: How long the replaced token was to live, in seconds; None if unknown.
    """
    was_useless = interval < min(2 * pace, (lifetime or 2 * MAX_DELAY) / 2)
    return min(2 * pace, MAX_DELAY) if was_useless else MIN_PACE
