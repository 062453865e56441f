"""A Redis server of a test's own, which it can break."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Self

STOP_SECONDS = 20


class RedisServer:
    """``redis-server`` on a free port, without persistence.

    Args:
        folder: Its working folder.
        *options: Further options of ``redis-server``.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._folder = folder
        self._options = options

    @staticmethod
    def is_installed() -> bool:
        """Return whether there is a ``redis-server``."""
        return shutil.which("redis-server") is not None

    @property
    def url(self) -> str:
        """Its URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        """Start, and wait until it accepts connections."""
        self.child = subprocess.Popen(  # noqa: S603 - a program of this machine
            ["redis-server", "--port", str(self.port), "--save", "", *self._options],  # noqa: S607
            cwd=self._folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.child.stdout is not None
        # Not by connecting: a connection to a free port of the ephemeral range may reach itself.
        if not any("Ready to accept" in line for line in self.child.stdout):
            raise RuntimeError("redis-server does not start")
        return self

    def hang(self) -> None:
        """Let it accept connections and answer nothing."""
        self.child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        self.child.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it."""
        self.child.kill()
        self.child.wait(STOP_SECONDS)
        assert self.child.stdout is not None
        self.child.stdout.close()

    def command(self, *words: str) -> bytes:
        """Send a command; return the start of the response."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            return connection.recv(1000)
