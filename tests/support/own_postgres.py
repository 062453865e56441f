"""A PostgreSQL of a test's own, which the test may stop, fill and promote."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
PROGRAMS = Path(shutil.which("initdb") or (FOUND[-1] if FOUND else "initdb")).resolve().parent
IS_INSTALLED = (PROGRAMS / "initdb").exists()
USER = "postgres" if os.geteuid() == 0 else None
"""PostgreSQL refuses to run as root."""

OPTIONS = (
    "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c shared_buffers=8MB"
)


class OwnPostgres:
    """Runs PostgreSQL while the context lasts.

    Args:
        folder: For its data; its user must be able to enter it.
        primary: Follow this server as a standby; an empty database of its own when None.
    """

    def __init__(self, folder: Path, primary: OwnPostgres | None = None) -> None:
        self._data = folder / "data"
        self._primary = primary
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        """Its address."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        self._data.mkdir(mode=0o700)
        if USER:
            shutil.chown(self._data, USER, USER)
        if self._primary is None:
            segments = "--wal-segsize=1"
            self.command("initdb", "-A", "trust", "-U", "postgres", "--no-sync", segments)
        else:
            source = ["-h", "127.0.0.1", "-p", str(self._primary.port), "-U", "postgres"]
            self.command("pg_basebackup", *source, "-R", "--no-sync", "-c", "fast")
        log = str(self._data / "log.txt")
        options = f"{OPTIONS} -p {self.port} -c max_wal_size=4MB -c min_wal_size=2MB"
        self.command("pg_ctl", "-w", "-l", log, "-o", options, "start")
        return self

    def command(self, name: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on its data."""
        subprocess.run(  # noqa: S603 - our own words
            [PROGRAMS / name, "-D", self._data, *arguments],
            user=USER,
            cwd=self._data,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def stop(self) -> None:
        """Stop at once, as a machine that loses its power does."""
        self.command("pg_ctl", "-m", "immediate", "-w", "stop")

    def promote(self) -> None:
        """Make a standby the primary."""
        self.command("pg_ctl", "-w", "promote")

    def __exit__(self, *_exc: object) -> None:
        if (self._data / "postmaster.pid").exists():
            self.stop()
