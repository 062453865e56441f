"""The server as a process of its own, which tests can ask, stop and kill."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse"


class Process:
    """`python -m <module> …` in a folder of its own; by default the demo."""

    def __init__(
        self, folder: Path, *args: str, module: str = "server", **environment: str
    ) -> None:
        self.args = [sys.executable, "-m", module, *args]
        self.environment = {**clean_environment(), **environment}
        self.folder = folder
        self.child = self._start()
        self.address = self._address()

    def _start(self) -> subprocess.Popen[str]:
        with (self.folder / "log").open("a") as log:
            return subprocess.Popen(  # noqa: S603 - our own program
                self.args,
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def _address(self) -> str:
        assert self.child.stdout is not None
        self.announced = self.child.stdout.readline().strip()
        assert self.announced, (self.folder / "log").read_text()
        return self.announced.split()[0]

    def post(self, path: str, body: object, **headers: str) -> tuple[int, Any]:
        data = json.dumps(body).encode()
        return self.ask("POST", path, data, **{"Content-Type": "application/json", **headers})

    def get(self, path: str, token: str) -> tuple[int, Any]:
        return self.ask("GET", path, None, Authorization=f"Bearer {token}")

    def ask(self, method: str, path: str, data: bytes | None, **headers: str) -> tuple[int, Any]:
        request = urllib.request.Request(  # noqa: S310 - loopback
            self.address + path, data=data, headers=headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310
                return reply.status, json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as reply:
            with reply:
                return reply.code, json.loads(reply.read() or b"null")

    def text(self, path: str) -> str:
        with urllib.request.urlopen(self.address + path, timeout=20) as reply:  # noqa: S310
            content: bytes = reply.read()
        return content.decode()

    def sign_in(self, username: str, password: str) -> dict[str, Any]:
        status, tokens = self.post("/api/login", {"username": username, "password": password})
        assert status == 200, tokens
        return dict(tokens)

    def stop(self, how: int = signal.SIGTERM) -> None:
        self.child.send_signal(how)
        self.child.wait(20)
        assert self.child.stdout is not None
        self.child.stdout.close()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


def clean_environment() -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("UNEXPIRED_")}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


class StartProcess(Protocol):
    """Starts `python -m server serve` on a free port."""

    def __call__(self, *args: str, **environment: str) -> Process: ...
