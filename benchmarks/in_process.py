"""Refreshes or calls in one process, without a server or a network.

``python -m benchmarks.in_process KIND SECONDS`` reads tokens from standard input, and settings from
the environment. A token of a bound session is a pair: the token and its proof.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from starlette.applications import Starlette

from server.app import create_app
from unexpired_server.settings import load_settings

AT_ONCE = 32

Item = str | list[str]
Send = Callable[[Starlette, Item], Awaitable[Item | None]]


async def refresh(app: Starlette, item: Item) -> Item:
    """Refresh once, as a server would call it; return the next token, with the same proof."""
    token, *proof = _parts(item)
    body = json.dumps({"refreshToken": token}).encode()
    headers = [(b"content-type", b"application/json"), *_proofs(proof)]
    content = await _send(app, "POST", "/api/refresh", headers, body)
    token = json.loads(content)["refreshToken"]
    return [token, *proof] if proof else token


async def call(app: Starlette, item: Item) -> Item | None:
    """Make one call; return a token without a proof, which can be used again."""
    token, *proof = _parts(item)
    scheme = "DPoP" if proof else "Bearer"
    headers = [(b"authorization", f"{scheme} {token}".encode()), *_proofs(proof)]
    await _send(app, "GET", "/api/me", headers)
    return None if proof else token


KINDS: dict[str, Send] = {"refresh": refresh, "call": call}


def _parts(item: Item) -> list[str]:
    return [item] if isinstance(item, str) else item


def _proofs(proofs: list[str]) -> list[tuple[bytes, bytes]]:
    return [(b"dpop", proof.encode()) for proof in proofs]


async def _send(
    app: Starlette,
    method: str,
    path: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes = b"",
) -> bytes:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {**SCOPE, "method": method, "path": path, "raw_path": path.encode()}
    await app({**scope, "headers": [HOST, *headers]}, receive, send)
    if sent[0]["status"] != 200:  # noqa: PLR2004 - RFC 9110
        raise RuntimeError(f"{sent}")
    return bytes(sent[1]["body"])


async def measure(send: Send, seconds: float, items: list[Item]) -> dict[str, float]:
    """Return the requests per second, and per second of processor time."""
    app, queue, done = create_app(load_settings()), deque(items), 0

    async def work(deadline: float) -> None:
        nonlocal done
        while queue and time.monotonic() < deadline:
            item = await send(app, queue.popleft())
            done += 1
            if item is not None:
                queue.append(item)

    async with app.router.lifespan_context(app):
        began, used = time.monotonic(), time.process_time()
        await asyncio.gather(*(work(began + seconds) for _ in range(AT_ONCE)))
        spent = time.process_time() - used
        return {"rate": done / (time.monotonic() - began), "per_core": done / spent}


HOST = (b"host", b"127.0.0.1")
SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "query_string": b"",
    "scheme": "http",
    "server": ("127.0.0.1", 80),
    "client": ("127.0.0.1", 9),
    "root_path": "",
}

if __name__ == "__main__":
    kind, seconds = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # As the server does.
        found = runner.run(measure(KINDS[kind], float(seconds), json.load(sys.stdin)))
    print(json.dumps(found))
