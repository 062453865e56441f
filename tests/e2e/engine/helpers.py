"""Requests and calls that the engine's tests use, and a wait for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable

ME = "GET /api/me"
NOTES = "POST /api/notes"
REFRESH = "POST /api/refresh"
LOGOUT = "POST /api/logout"
GET_ME = "await outcome(client.get('/api/me'))"
GET_NOTES = "await outcome(client.get('/api/notes'))"
TIMEOUT_SECONDS = 20.0
POLL_SECONDS = 0.02


def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; fail if it does not within ``TIMEOUT_SECONDS``."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(POLL_SECONDS)
