"""The real server as its own process, on a port of its own, with a database of its own."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import jwt

from unexpired_server.settings import Settings
from unexpired_server.tokens.access_tokens import TYPE
from unexpired_server.tokens.keys import load_ring

ROOT = Path(__file__).resolve().parents[2]
LONG_AGO = 60
POLL_SECONDS = 0.05
ADDRESS = re.compile(r"^http://[\w.:]+", re.MULTILINE)
PASSWORDS = {"ada": "correct horse battery", "grace": "staple another horse"}


class Backend:
    """A server process for the tests.

    Args:
        folder: Where it keeps its data and its log; empty at first.
        settings: Its settings, by their names without the prefix, such as access_ttl=3.
    """

    def __init__(self, folder: Path, settings: Mapping[str, float | str]) -> None:
        self._folder = folder
        self._environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            **{f"UNEXPIRED_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Add the users, and start on a free port.

        Raises:
            RuntimeError: The server did not start; its log is in the message.
        """
        for name, password in PASSWORDS.items():
            self.run("user", "add", name, stdin=password)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server", "serve", "--port", "0"],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        self.url = self._address(self._process)

    def stop(self) -> None:
        """End the process and wait until it is gone."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)

    def expired(self, token: str) -> str:
        """The same access token, as this server would have signed it long ago."""
        settings = Settings(keys_file=self._folder / "data" / "keys.json")
        claims = jwt.decode(token, options={"verify_signature": False})
        life = claims["exp"] - claims["iat"]
        exp = int(time.time() - settings.leeway - LONG_AGO)
        return load_ring(settings).active.sign({**claims, "iat": exp - life, "exp": exp}, TYPE)

    def run(self, *command: str, stdin: str = "") -> str:
        """Run one of the server's own commands on the same data; return what it prints."""
        done = subprocess.run(  # noqa: S603 - Our own words.
            [sys.executable, "-m", "server", *command],
            cwd=self._folder,
            env=self._environment,
            input=f"{stdin}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    def _address(self, process: subprocess.Popen[bytes]) -> str:
        while process.poll() is None:
            if match := ADDRESS.search(self._log.read_text()):
                return match[0]
            time.sleep(POLL_SECONDS)
        raise RuntimeError(f"the server did not start:\n{self._log.read_text()}")
