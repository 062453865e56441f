"""Ten thousand bad requests of every kind: none is our fault, none is answered in plain text."""

import random

import pytest

from tests.server.harness import Node

PATHS = [
    "/", "/login", "/api", "/api/", "/api/login", "/api/refresh", "/api/logout", "/api/logout-all",
    "/api/me", "/api/sessions", "/api/sessions/x", "/api/notes", "/api/notes/1", "/api/notes/\x00",
    "/healthz", "/app/main.py", "/app/%2e%2e/x", "/vendor/\xff", "//", "/api/notes/1/2", "/\x00",
    "/api/sessions/\x00", "/app/" + "a/" * 200, "/api/login?x=1",
]  # fmt: skip
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "", "\xff"]
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


async def test_bad_requests_are_never_answered_with_a_server_error(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    token = (await node.sign_in())["accessToken"]
    chance = random.Random(1)
    good = (b"authorization", f"Bearer {token}".encode())
    statuses: dict[int, int] = {}
    for _ in range(10_000):
        headers = [
            (name, chance.choice(values))
            for name, values in HEADERS.items()
            if chance.random() < 0.4
        ]
        if chance.random() < 0.3:
            headers = [good, *(h for h in headers if h[0] != b"authorization")]
        asked = (chance.choice(METHODS), chance.choice(PATHS), headers, chance.choice(BODIES))
        reply = await node.raw(*asked)
        assert reply.status < 500, asked
        assert "text/plain" not in reply.headers.get("content-type", ""), asked
        statuses[reply.status] = statuses.get(reply.status, 0) + 1
    assert {400, 401, 403, 404, 405, 413, 415} <= statuses.keys()
    assert not [one for one in caplog.records if one.name == "unexpired.server"]
