"""The examples for Flask and Django: each in a process, with tokens of our server and of others."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.fake_issuer import AUDIENCE, FakeIssuer
from tests.support.paths import ROOT
from tests.support.server_process import PASSWORDS, ServerProcess, clean_environment

TIMEOUT = 60.0
ADDRESS = re.compile(r"unning on (http://[\d.]+:\d+)")
WSGI = """
from wsgiref.simple_server import make_server
from examples.django_api.app import wsgi
with make_server("127.0.0.1", 0, wsgi) as server:
    print(f"Running on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
"""
COMMANDS = {
    "flask": ("-m", "flask", "--app", "examples/flask_api/app", "run", "--port", "0"),
    "django-asgi": ("-m", "uvicorn", "examples.django_api.app:asgi", "--port", "0"),
    "django-wsgi": ("-c", WSGI),
}


@dataclass(frozen=True)
class Tokens:
    """Where tokens come from.

    Attributes:
        environment: What the example needs to verify them.
        plain: A token without scopes.
        writing: A token with ``orders:write``.
        expired: A token that has expired.
        user_id: Their ``sub``.
        client: The ``azp`` of the second.
    """

    environment: dict[str, str]
    plain: str
    writing: str
    expired: str
    user_id: str
    client: str | None


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tokens]:
    """Tokens of a server of ours that signs with EdDSA."""
    server = ServerProcess.with_users(tmp_path_factory.mktemp("server"), algorithm="EdDSA")
    server.run("user", "scope", "grace", "orders:write")
    signed_in = server.sign_in("ada", PASSWORDS["ada"])
    token = signed_in["accessToken"]
    writing = server.sign_in("grace", PASSWORDS["grace"])["accessToken"]
    keys = f"{server.url}/.well-known/jwks.json"
    user_id = signed_in["user"]["id"]
    yield Tokens({"KEYS": keys}, token, writing, server.expired(token), user_id, None)
    server.stop()


@pytest.fixture(scope="module")
def foreign() -> Iterator[Tokens]:
    """Tokens of an issuer of another project, with discovery and RS256."""
    with FakeIssuer("/realms/shop") as issuer:
        past = int(time.time()) - 1000
        yield Tokens(
            {"ISSUER": issuer.url, "AUDIENCE": AUDIENCE},
            issuer.token(scope=None),
            issuer.token(scope="openid orders:write"),
            issuer.token(iat=past, exp=past + 300),
            "ada",
            "web",
        )


@contextmanager
def serving(example: str, environment: dict[str, str], folder: Path) -> Iterator[httpx.Client]:
    """Run an example in a process of its own."""
    log = folder / "log"
    with log.open("w") as output:
        child = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, *COMMANDS[example]],
            cwd=ROOT,
            env=clean_environment()
            | environment
            | {"PYTHONPATH": f"{ROOT}:{ROOT / 'app'}:{ROOT / 'server'}"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        ends_at = time.monotonic() + TIMEOUT
        while not (found := ADDRESS.search(log.read_text())):
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < ends_at
            time.sleep(0.02)
        with httpx.Client(base_url=found[1], timeout=TIMEOUT) as http:
            yield http
    finally:
        child.terminate()
        child.wait(TIMEOUT)


@dataclass
class Running:
    """An example that runs, and the tokens that it accepts."""

    http: httpx.Client
    tokens: Tokens

    def ask(self, method: str, path: str, token: str | None = None) -> tuple[int, Any]:
        """Send a request; return the status and the JSON."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        response = self.http.request(method, path, headers=headers)
        return response.status_code, response.json()


@pytest.fixture(
    scope="module",
    params=[(example, source) for example in COMMANDS for source in ("ours", "foreign")],
    ids="-".join,
)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """Each example with each kind of tokens."""
    example, source = request.param
    tokens: Tokens = request.getfixturevalue(source)
    folder = tmp_path_factory.mktemp("example")
    with serving(example, tokens.environment, folder) as http:
        yield Running(http, tokens)


def test_a_public_route_needs_no_token(running: Running) -> None:
    assert running.ask("GET", "/") == (200, {"books": ["Emma"]})


def test_a_guarded_route_knows_the_user(running: Running) -> None:
    expected = {"user": running.tokens.user_id, "orders": []}
    assert running.ask("GET", "/orders", running.tokens.plain) == (200, expected)


def test_a_missing_scope_is_named(running: Running) -> None:
    bearer = {"Authorization": f"Bearer {running.tokens.plain}"}
    response = running.http.delete("/orders/7", headers=bearer)
    assert (response.status_code, response.json()["code"]) == (403, "FORBIDDEN")
    assert 'scope="orders:write"' in response.headers["www-authenticate"]
    expected = {"cancelled": 7, "client": running.tokens.client}
    assert running.ask("DELETE", "/orders/7", running.tokens.writing) == (200, expected)


def test_every_failure_has_our_code_and_challenge(running: Running) -> None:
    tokens = running.tokens
    for token, status, code in (
        (None, 401, "NO_TOKEN"),
        (tokens.expired, 401, "TOKEN_EXPIRED"),
        (f"{tokens.plain[:-6]}AAAAAA", 403, "INVALID_TOKEN"),
        ("x", 403, "INVALID_TOKEN"),
    ):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        response = running.http.get("/orders", headers=headers)
        body = response.json()
        assert (response.status_code, body["code"]) == (status, code)
        assert ("expiredAt" in body) is (code == "TOKEN_EXPIRED")
        assert response.headers["www-authenticate"].startswith("Bearer ")
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["content-type"] == "application/json"


def test_the_frameworks_own_failures_stay_its_own(running: Running) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/orders/7", 405)):
        response = running.http.request(method, path)
        assert response.status_code == status
        assert "json" not in response.headers["content-type"]


@pytest.mark.parametrize("example", COMMANDS)
def test_an_issuer_that_cannot_be_reached_is_an_outage(example: str, tmp_path: Path) -> None:
    environment = {"ISSUER": "http://127.0.0.1:1", "AUDIENCE": AUDIENCE}
    with serving(example, environment, tmp_path) as http:
        response = http.get("/orders", headers={"Authorization": "Bearer a.b.c"})
        assert (response.status_code, response.json()["code"]) == (503, "UNAVAILABLE")
        assert response.headers["retry-after"] == "1"
        assert http.get("/").status_code == 200
