"""The delay after failed attempts."""

from __future__ import annotations

from unexpired.backoff import backoff


def test_delays_double_up_to_half_a_minute_with_full_jitter() -> None:
    assert [backoff(n, 1.0) for n in (1, 2, 3, 6, 7, 10_000)] == [1, 2, 4, 30, 30, 30]
    assert backoff(5, 0.5) == 8
    assert backoff(5, 0.0) == 0.1
