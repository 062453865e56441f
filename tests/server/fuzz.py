"""Thousands of bad and mixed requests: none gets a 5xx or plain text.

Except during an outage of the database, when a 503 with Retry-After is right.
"""

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
from tests.server.stores import fill, rows
from tests.support.clock import FakeClock
from unexpired_server.settings import Settings

PATHS = [
    "/", "/login", "/api", "/api/", "/api/login", "/api/refresh", "/api/logout", "/api/logout-all",
    "/api/me", "/api/sessions", "/api/sessions/x", "/api/notes", "/api/notes/1", "/api/notes/\x00",
    "/healthz", "/readyz", "/metrics", "/openapi.json", "/.well-known/jwks.json",
    "/app/main.py", "/app/%2e%2e/x", "/vendor/\xff", "//", "/api/notes/1/2", "/\x00",
    "/api/sessions/\x00", "/app/" + "a/" * 200, "/api/login?x=1",
    "/api/password", "/api/password/forgot", "/api/password/reset", "/api/signup", "/api/features",
    "/api/sessions?limit=1", "/api/sessions?limit=0", "/api/notes?after=9", "/api/notes?after=\xff",
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
    b'{"username":"\\ud800","password":"staple battery"}', b'{"username":"a\\u0000"}',
    b'{"username":"carol","password":"staple battery"}', b'{"username":5,"password":[]}',
    b'{"currentPassword":"wrong","newPassword":"staple battery"}', b'{"token":"pr1.AAAA"}',
    b'{"currentPassword":"x","newPassword":"\\ud800 battery"}',
    b'{"token":"pr1.\\ud800","newPassword":"staple battery"}', b'{"token":1,"newPassword":null}',
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
    ("POST", "/api/password"), ("POST", "/api/signup"), ("POST", "/api/password/forgot"),
    ("POST", "/api/password/reset"), ("GET", "/api/features"),
    ("GET", "/api/notes"), ("POST", "/api/notes"), ("DELETE", "/api/notes/1"),
    ("PUT", "/api/notes/1"),
]  # fmt: skip
JSON = (b"content-type", b"application/json")


TABLES = ("idempotency_keys", "notes", "sessions", "users", "events")
OUTAGE_EVERY, OUTAGE_REQUESTS = 500, 100


async def run(
    node: TestServer, requests: int, seed: int, *, has_outages: bool = False
) -> Counter[int]:
    """Send mixed bad requests; each must get a response below 500.

    Args:
        node: The server.
        requests: The number of requests.
        seed: The seed of the random requests.
        has_outages: Whether the database is away now and then; then a response may be 503 with
            Retry-After.

    Returns:
        The number of responses by status.
    """
    tokens = await node.sign_in()
    chance = random.Random(seed)
    good = (b"authorization", f"Bearer {tokens['accessToken']}".encode())
    refresh = f'{{"refreshToken":"{tokens["refreshToken"]}"}}'.encode()
    statuses: Counter[int] = Counter()
    is_away = False
    for number in range(requests):
        if has_outages and number % OUTAGE_EVERY in {OUTAGE_REQUESTS, 0} and number:
            is_away = not is_away
            await _rename_tables(node, is_away=is_away)
        asked = _request(chance, good, refresh)
        response = await node.raw(*asked)
        if is_away and response.status == 503:
            assert int(response.headers["retry-after"]) >= 1
        else:
            assert response.status < 500, asked
        is_plain = "text/plain" in response.headers.get("content-type", "")
        assert not is_plain or asked[1] == "/metrics", asked
        statuses[response.status] += 1
    return statuses


async def _rename_tables(node: TestServer, *, is_away: bool) -> None:
    """Take the database away from the node, or give it back."""
    for table in TABLES:
        names = (table, f"{table}_away") if is_away else (f"{table}_away", table)
        await rows(node.settings.database_url, "ALTER TABLE {} RENAME TO {}".format(*names))


def _request(
    chance: random.Random, good: tuple[bytes, bytes], refresh: bytes
) -> tuple[str, str, list[tuple[bytes, bytes]], bytes]:
    headers = [
        (name, chance.choice(values)) for name, values in HEADERS.items() if chance.random() < 0.4
    ]
    if chance.random() < 0.3:
        headers = [good, *(h for h in headers if h[0] != b"authorization")]
    asked = chance.choice(CALLS if chance.random() < 0.5 else ELSEWHERE)
    if chance.random() < 0.8:  # So that most pass the check of the media type.
        headers = [h for h in headers if h[0] != b"content-type"] + [JSON]
    return *asked, headers, refresh if chance.random() < 0.1 else chance.choice(BODIES)


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
            return await run(
                TestServer(app, settings, clock, http), requests, seed, has_outages=True
            )


@click.command()
@click.option("--requests", default=10_000, show_default=True, help="How many requests.")
@click.option("--seed", default=1, show_default=True, help="Which requests.")
def main(requests: int, seed: int) -> None:
    """Send mixed bad requests to a fresh server, and fail at the first 5xx."""
    logging.disable(logging.ERROR)
    statuses = asyncio.run(_on_fresh_data(requests, seed))
    answered = ", ".join(f"{status}: {times}" for status, times in sorted(statuses.items()))
    click.echo(f"{requests} requests, no 5xx but 503 in an outage ({answered})")


if __name__ == "__main__":
    main()
