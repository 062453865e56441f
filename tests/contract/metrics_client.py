"""Reads the server's metrics."""

from __future__ import annotations

import re

from tests.support.server_process import ServerProcess

REFRESHES = re.compile(r"^unexpired_refreshes_total\{.*\} (\d+)", re.MULTILINE)


def refreshes(server: ServerProcess) -> int:
    """Return how many refreshes the server has answered so far, whatever the outcome."""
    return sum(map(int, REFRESHES.findall(server.text("/metrics"))))
