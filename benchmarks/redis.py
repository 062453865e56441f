"""The Redis of measured servers."""

from __future__ import annotations

import os

from redis import Redis, RedisError

URL = os.environ.get("UNEXPIRED_TEST_REDIS", "redis://127.0.0.1:6379")


def trouble() -> str | None:
    """Return why Redis cannot be used; None when it can."""
    try:
        with Redis.from_url(URL) as client:
            client.ping()
    except RedisError as exc:
        return f"No Redis at UNEXPIRED_TEST_REDIS or localhost ({type(exc).__name__})."
    return None
