"""Refreshes in one process, without a server or a network.

``python -m benchmarks.in_process SECONDS`` reads refresh tokens from standard input, and settings
from the environment.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from typing import Any

from starlette.applications import Starlette

from server.app import create_app
from unexpired_server.settings import load_settings

AT_ONCE = 32


async def refresh(app: Starlette, token: str) -> str:
    """Refresh once, as a server would call it; return the next token."""
    body = json.dumps({"refreshToken": token}).encode()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({**SCOPE, "headers": HEADERS}, receive, send)
    if sent[0]["status"] != 200:  # noqa: PLR2004 - RFC 9110
        raise RuntimeError(f"{sent}")
    return str(json.loads(sent[1]["body"])["refreshToken"])


async def measure(seconds: float, tokens: list[str]) -> dict[str, float]:
    """Return the refreshes per second, and per second of processor time."""
    app, queue, done = create_app(load_settings()), deque(tokens), 0

    async def work(deadline: float) -> None:
        nonlocal done
        while time.monotonic() < deadline:
            queue.append(await refresh(app, queue.popleft()))
            done += 1

    async with app.router.lifespan_context(app):
        began, used = time.monotonic(), time.process_time()
        await asyncio.gather(*(work(began + seconds) for _ in range(AT_ONCE)))
        spent = time.process_time() - used
        return {"rate": done / (time.monotonic() - began), "per_core": done / spent}


HEADERS = [(b"content-type", b"application/json"), (b"host", b"127.0.0.1")]
SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "POST",
    "path": "/api/refresh",
    "raw_path": b"/api/refresh",
    "query_string": b"",
    "scheme": "http",
    "server": ("127.0.0.1", 80),
    "client": ("127.0.0.1", 9),
    "root_path": "",
}

if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(float(sys.argv[1]), json.load(sys.stdin)))))
