"""What the server has counted."""

from __future__ import annotations

import re
import urllib.request

REFRESHES = re.compile(r"^unexpired_refreshes_total\{.*\} (\d+)", re.MULTILINE)


def refreshes(url: str) -> int:
    """How many refreshes the server at this address has decided so far, one way or another."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as reply:  # noqa: S310 - loopback
        return sum(map(int, REFRESHES.findall(reply.read().decode())))
