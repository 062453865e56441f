"""Servers of other projects, each in a process of its own, and ada signed in to one of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jwt
import pytest

from tests.support.paths import ROOT
from unexpired import Client, Dialect, MemoryStore, Request, Response
from unexpired.desktop.urllib import UrllibTransport
from unexpired.session_record import Record, loads

PEERS = ROOT / "tests" / "contract" / "peers"
SECRET = "a secret of thirty-two bytes or more"
PASSWORD = "correct horse"
TIMEOUT = 60.0
NODE_MODULES = ROOT / "node_modules"


@dataclass(frozen=True)
class Peer:
    """How a client is set up for a server of another project.

    Attributes:
        program: Its file in ``peers``.
        options: The options of the client.
        username: The name of the one user.
        refresh_secret: Signs its refresh tokens; empty: they are no JWTs.
    """

    program: str
    options: Mapping[str, Any]
    username: str = "ada"
    refresh_secret: str = SECRET


PEER = {
    "simplejwt": Peer(
        "simplejwt.py",
        {
            "dialect": Dialect.simplejwt(),
            "login_path": "/api/token/",
            "refresh_path": "/api/token/refresh/",
            "logout_path": "/api/token/blacklist/",
        },
    ),
    "flask_jwt_extended": Peer(
        "flask_jwt.py",
        {
            "dialect": Dialect.flask_jwt_extended(),
            "login_path": "/login",
            "refresh_path": "/refresh",
            "logout_path": "/logout",
        },
    ),
    "fastapi_users": Peer(
        "fastapi_users_app.py",
        {
            "dialect": Dialect.fastapi_users(),
            "login_path": "/auth/jwt/login",
            "logout_path": "/auth/jwt/logout",
        },
        username="ada@example.com",
        refresh_secret="",
    ),
    "article": Peer(
        "article.mjs",
        {"dialect": Dialect.article()},
        refresh_secret=f"{SECRET}, for refresh tokens",
    ),
    "oidc_provider": Peer(
        "oidc.mjs",
        {
            "dialect": Dialect.oauth("notes"),
            "login_path": "/token",
            "refresh_path": "/token",
            "logout_path": "/token/revocation",
        },
        refresh_secret="",
    ),
}


class RealServer:
    """A server of another project, in a process of its own on a free port.

    Args:
        peer: The server.
    """

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        runner = sys.executable if peer.program.endswith(".py") else _node()
        self._child = subprocess.Popen(  # noqa: S603 - our own program
            [runner, str(PEERS / peer.program)],
            cwd=ROOT,
            env={**os.environ, "SECRET": SECRET, "PASSWORD": PASSWORD},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._child.stdout is not None
        self.url = self._child.stdout.readline().strip()
        assert self.url, f"{peer.program} did not start"
        if not self.url.startswith("http"):
            self.stop()
            pytest.skip(self.url)

    def stop(self) -> None:
        """End the process."""
        self._child.terminate()
        self._child.wait(TIMEOUT)
        assert self._child.stdout is not None
        self._child.stdout.close()

    def change(self, what: str) -> None:
        """Do to ada what an administrator may: ``reset``, ``disable``, ``delete``, …."""
        response = UrllibTransport().send(Request("GET", f"{self.url}/test/{what}"), TIMEOUT)
        assert response.is_success, response


def _node() -> str:
    node = shutil.which("node")
    if node is None or not (NODE_MODULES / "express").exists():
        pytest.skip("needs Node.js and the npm packages: make setup")
    return node


@dataclass
class Recorder:
    """Sends through urllib, and records each path with its status."""

    calls: list[tuple[str, int]] = field(default_factory=list)

    def send(self, request: Request, timeout: float | None) -> Response:
        response = UrllibTransport().send(request, timeout)
        self.calls.append((request.url.split("/", 3)[3], response.status_code))
        return response


class Device:
    """A device of ada's, with its own storage.

    Args:
        server: The server that she uses.
    """

    def __init__(self, server: RealServer) -> None:
        self.server = server
        self.transport = Recorder()
        self.store = MemoryStore()
        self.client = self._open()

    def _open(self) -> Client:
        return Client(
            self.transport,
            store=self.store,
            base_url=self.server.url,
            refresh_timeout=20,
            **self.server.peer.options,
        )

    def sign_in(self, password: str = PASSWORD) -> None:
        """Sign ada in."""
        self.client.sign_in(self.server.peer.username, password)
        self.transport.calls.clear()

    @property
    def record(self) -> Record:
        """What the device stores."""
        text = self.store.load()
        assert text is not None
        return loads(text)

    def change(self, **tokens: Any) -> None:
        """Open the page again with other tokens, which are as if they had been issued so."""
        record = self.record
        self.store.save(replace(record, tokens=replace(record.tokens, **tokens)).dumps())
        self.client = self._open()


def expired(token: str, secret: str) -> str:
    """Return the token as it was signed long ago."""
    then = int(time.time()) - 3600
    return _signed_again(token, secret, {"iat": then - 60, "nbf": then - 60, "exp": then})


def forged(token: str, secret: str) -> str:
    """Return the token as somebody else has signed it."""
    return _signed_again(token, f"not {secret}", {})


def malformed(token: str, _: str) -> str:
    """Return what is no token."""
    return f"{token[:20]}"


def _signed_again(token: str, secret: str, changes: Mapping[str, Any]) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    known = {name: value for name, value in changes.items() if name in claims or name == "exp"}
    return jwt.encode({**claims, **known}, secret, "HS256")


Damage = Callable[[str, str], str]
