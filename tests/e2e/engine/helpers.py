"""What the engine's tests say often."""

from __future__ import annotations

import time
from collections.abc import Callable

ME = "GET /api/me"
NOTES = "POST /api/notes"
REFRESH = "POST /api/refresh"
LOGOUT = "POST /api/logout"
GET_ME = "await outcome(client.get('/api/me'))"
GET_NOTES = "await outcome(client.get('/api/notes'))"
PATIENCE = 20.0  # s
POLL = 0.02  # s


def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds; fail if it does not in twenty seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(POLL)
