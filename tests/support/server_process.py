"""The server as a process of its own, which tests can call, stop and kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, Self

import jwt

from tests.support.paths import ROOT
from unexpired_server.settings import Settings
from unexpired_server.tokens.access_tokens import TYPE
from unexpired_server.tokens.keys import load_ring

PASSWORD = "correct horse"
PASSWORDS = {"ada": "correct horse battery", "grace": "staple another horse"}
"""The users that ``ServerProcess.with_users`` adds."""

DATABASE = Path("data", "unexpired.sqlite3")
"""Where a server keeps its data by default, in its folder."""

ELSEWHERE = {"database_url", "demo"}
"""Settings with which the data is in another place."""

STOP_SECONDS = 30
TIMEOUT_SECONDS = 120
"""A busy machine takes a minute to start two workers."""

EXPIRED_SECONDS = 60


class ServerProcess:
    """``python -m <module> serve`` in a folder of its own, on a free port.

    Args:
        folder: Keeps the server's data and its log.
        *options: Further options of ``serve``.
        module: The demo, or the package without it.
        **environment: Variables; ``UNEXPIRED_*`` of this process are not inherited.
    """

    announced: str
    """The line that the server printed when it listened."""

    launcher: tuple[str, ...] = ()
    """A command that starts the server, such as ``prlimit`` with its options."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        module: str = "server",
        **environment: str,
    ) -> None:
        self.folder = folder
        self._options = options
        self._command = [sys.executable, "-m", module]
        self._environment = {**clean_environment(), **environment}
        self.url = ""

    @classmethod
    def with_users(cls, folder: Path, **settings: float | str) -> Self:
        """Start a server that has the users of ``PASSWORDS``.

        Args:
            folder: Keeps its data and its log; empty at first.
            **settings: Its settings by name, such as ``access_ttl=3``.
        """
        environment = {f"UNEXPIRED_{name.upper()}": str(value) for name, value in settings.items()}
        server = cls(folder, **environment)
        if settings.keys() & ELSEWHERE:
            server.add_users()
        else:
            database = folder / DATABASE
            database.parent.mkdir(mode=0o700)
            database.write_bytes(_database_with_users())
            database.chmod(0o600)
        return server.start()

    def add_users(self) -> None:
        """Add the users of ``PASSWORDS``."""
        for name, password in PASSWORDS.items():
            self.run("user", "add", name, stdin=password)

    def run(self, *command: str, stdin: str = "") -> str:
        """Run one of the server's other commands on the same data; return what it prints."""
        done = subprocess.run(  # noqa: S603 - our own program
            [*self._command, *command],
            cwd=self.folder,
            env=self._environment,
            input=f"{stdin}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    def start(self) -> Self:
        """Start, and wait until the server listens.

        Raises:
            RuntimeError: It ended instead; the message holds its log.
        """
        with (self.folder / "server.log").open("a") as log:
            self.child = subprocess.Popen(  # noqa: S603 - our own program
                [*self.launcher, *self._command, "serve", "--port", "0", *self._options],
                cwd=self.folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.child.stdout is not None
        self.announced = self.child.stdout.readline().strip()
        if not self.announced:
            raise RuntimeError(f"the server did not start:\n{self.log}")
        self.url = self.announced.split()[0]
        return self

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Send a signal, and wait until the process is gone."""
        self.child.send_signal(how)
        self.child.wait(STOP_SECONDS)
        assert self.child.stdout is not None
        self.child.stdout.close()

    @property
    def log(self) -> str:
        """Everything that the server has logged so far."""
        return (self.folder / "server.log").read_text()

    # -- Requests ------------------------------------------------------------------------------

    def post(self, path: str, body: object, **headers: str) -> tuple[int, Any]:
        """Send JSON; return the status and the JSON of the response."""
        data = json.dumps(body).encode()
        return self.ask("POST", path, data, **{"Content-Type": "application/json", **headers})

    def get(self, path: str, token: str) -> tuple[int, Any]:
        """Send an access token; return the status and the JSON of the response."""
        return self.ask("GET", path, None, Authorization=f"Bearer {token}")

    def ask(self, method: str, path: str, data: bytes | None, **headers: str) -> tuple[int, Any]:
        """Send a request; return the status and the JSON of the response."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            self.url + path, data=data, headers=headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
                return response.status, json.loads(response.read() or b"null")
        except urllib.error.HTTPError as response:
            with response:
                return response.code, json.loads(response.read() or b"null")

    def text(self, path: str) -> str:
        """Return the body of a response as text."""
        with urllib.request.urlopen(self.url + path, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            content: bytes = response.read()
        return content.decode()

    def sign_in(self, username: str, password: str) -> dict[str, Any]:
        """Sign in; return the response's JSON."""
        status, tokens = self.post("/api/login", {"username": username, "password": password})
        assert status == 200, tokens
        return dict(tokens)

    def expired(self, token: str) -> str:
        """Return the access token as this server would have signed it a while ago."""
        algorithm: Any = self._environment.get("UNEXPIRED_ALGORITHM", "HS256")
        settings = Settings(keys_file=self.folder / "data" / "keys.json", algorithm=algorithm)
        claims = jwt.decode(token, options={"verify_signature": False})
        life = claims["exp"] - claims["iat"]
        exp = int(time.time() - settings.leeway - EXPIRED_SECONDS)
        return load_ring(settings).active.sign({**claims, "iat": exp - life, "exp": exp}, TYPE)


@cache
def _database_with_users() -> bytes:
    """Return a database with the users of ``PASSWORDS``: to add them takes two starts of Python."""
    with TemporaryDirectory() as folder:
        ServerProcess(Path(folder)).add_users()
        return (Path(folder) / DATABASE).read_bytes()


def clean_environment() -> dict[str, str]:
    """Return this process's environment without settings of the server."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("UNEXPIRED_")}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class StartProcess(Protocol):
    """Starts the demo's server with these options and variables."""

    def __call__(self, *options: str, **environment: str) -> ServerProcess: ...
