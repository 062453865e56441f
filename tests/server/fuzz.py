"""Thousands of bad requests of every kind: none gets a 5xx or plain text."""

import asyncio
import logging
import random
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import httpx

from server.app import create_app
from tests.server.harness import HASHER, TestServer
from tests.server.stores import fill
from tests.support.clock import FakeClock
from unexpired_server.settings import Settings

PATHS = [
    "/", "/login", "/api", "/api/", "/api/login", "/api/refresh", "/api/logout", "/api/logout-all",
    "/api/me", "/api/sessions", "/api/sessions/x", "/api/notes", "/api/notes/1", "/api/notes/\x00",
    "/healthz", "/readyz", "/metrics", "/openapi.json", "/.well-known/jwks.json",
    "/app/main.py", "/app/%2e%2e/x", "/vendor/\xff", "//", "/api/notes/1/2", "/\x00",
    "/api/sessions/\x00", "/app/" + "a/" * 200, "/api/login?x=1",
]  # fmt: skip
METHODS = [
    *["GET", "POST", "DELETE"] * 5,
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "",
    "\xff",
]
BODIES = [
    b"", b"{}", b"[]", b"null", b"{", b"\xff\xfe\x00", b'{"a":NaN}', b'{"a":1,"a":1}',
    b'{"username":"ada","password":"wrong"}', b'{"username":"\\ud800","password":"x"}',
    b'{"refreshToken":"rt1.AAAA"}', b'{"refreshToken":null}', b'{"text":"x"}', b"[" * 5000,
    b'{"text":' + b"9" * 5000 + b"}", b"x" * 20_000, b'{"text":"\x00"}', b'{"text":"\\u0000"}',
]  # fmt: skip
HEADERS = {
    b"authorization": [
        b"", b"Bearer", b"Bearer x", b"Bearer a.b.c", b"Basic eDp5", b"\xff", b"Bearer \x00",
        b"Bearer " + b"a" * 5000, b"Bearer e30.e30.e30", b"Bearer a,b", b"Digest x=1",
    ],
    b"content-type": [b"application/json", b"application/json", b"text/plain", b"", b"\xff"],
    b"content-length": [b"0", b"5", b"99999999", b"-1", b"x", b"9" * 100],
    b"idempotency-key": [b"", b"a", b"\xff", b"x" * 1000],
    b"origin": [b"null", b"https://app.example", b"\xff", b""],
    b"access-control-request-method": [b"POST", b"\xff"],
    b"range": [b"bytes=9-", b"x"],
    b"if-none-match": [b"*", b"\xff"],
    b"if-modified-since": [b"never", b"\xff", b"Thu, 01 Jan 1970 00:00:00 GMT"],
    b"host": [b"evil.example", b"", b"[", b"\xff"],
    b"user-agent": [b"\xff\x00", b"x" * 5000],
}  # fmt: skip


ELSEWHERE = [(method, path) for method in METHODS for path in PATHS]
CALLS = [
    ("POST", "/api/login"), ("POST", "/api/refresh"), ("POST", "/api/logout"),
    ("GET", "/api/me"), ("GET", "/api/sessions"), ("DELETE", "/api/sessions/x"),
    ("GET", "/api/notes"), ("POST", "/api/notes"), ("DELETE", "/api/notes/1"),
]  # fmt: skip
JSON = (b"content-type", b"application/json")


async def run(node: TestServer, requests: int, seed: int) -> Counter[int]:
    """Send mixed bad requests; each must get a response below 500.

    Args:
        node: The server.
        requests: The number of requests.
        seed: The seed of the random requests.

    Returns:
        The number of responses by status.
    """
    token = (await node.sign_in())["accessToken"]
    chance = random.Random(seed)
    good = (b"authorization", f"Bearer {token}".encode())
    statuses: Counter[int] = Counter()
    for _ in range(requests):
        asked = _request(chance, good)
        response = await node.raw(*asked)
        assert response.status < 500, asked
        is_plain = "text/plain" in response.headers.get("content-type", "")
        assert not is_plain or asked[1] == "/metrics", asked
        statuses[response.status] += 1
    return statuses


def _request(
    chance: random.Random, good: tuple[bytes, bytes]
) -> tuple[str, str, list[tuple[bytes, bytes]], bytes]:
    headers = [
        (name, chance.choice(values)) for name, values in HEADERS.items() if chance.random() < 0.4
    ]
    if chance.random() < 0.3:
        headers = [good, *(h for h in headers if h[0] != b"authorization")]
    asked = chance.choice(CALLS if chance.random() < 0.5 else ELSEWHERE)
    if chance.random() < 0.8:  # So that most pass the check of the media type.
        headers = [h for h in headers if h[0] != b"content-type"] + [JSON]
    return *asked, headers, chance.choice(BODIES)


async def _on_fresh_data(requests: int, seed: int) -> Counter[int]:
    with TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/fuzz.sqlite3"
        await fill(url)
        settings = Settings(database_url=url, keys_file=Path(folder) / "keys.json")
        app, clock = create_app(settings, hasher=HASHER), FakeClock(time.time())
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
        ):
            return await run(TestServer(app, settings, clock, http), requests, seed)


@click.command()
@click.option("--requests", default=10_000, show_default=True, help="How many requests.")
@click.option("--seed", default=1, show_default=True, help="Which requests.")
def main(requests: int, seed: int) -> None:
    """Send mixed bad requests to a fresh server, and fail at the first 5xx."""
    logging.disable(logging.WARNING)
    statuses = asyncio.run(_on_fresh_data(requests, seed))
    answered = ", ".join(f"{status}: {times}" for status, times in sorted(statuses.items()))
    click.echo(f"{requests} requests, no 5xx ({answered})")


if __name__ == "__main__":
    main()
