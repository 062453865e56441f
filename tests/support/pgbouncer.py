"""A PgBouncer of a test's own, in front of the PostgreSQL that it is given."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy.engine import make_url

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
auth_file = {folder}/users.txt
pool_mode = {mode}
default_pool_size = {size}
server_reset_query =
max_client_conn = 500
logfile = {folder}/log.txt
"""


class PgBouncer:
    """Runs PgBouncer while the context lasts.

    Args:
        folder: For its files; other users must be able to read it.
        url: The database behind it.
        mode: When it gives a connection to another client: "transaction" or "session".
        size: How many connections to PostgreSQL it opens.
    """

    def __init__(self, folder: Path, url: str, mode: str = "transaction", size: int = 3) -> None:
        self._folder = folder
        self._upstream = make_url(url)
        self._mode = mode
        self._size = size
        self._child: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        """The database's address through PgBouncer."""
        address = self._upstream.set(host="127.0.0.1", port=self._port)
        return address.render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        folder = self._folder / "pgbouncer"
        folder.mkdir()
        user, password = self._upstream.username or "postgres", self._upstream.password or ""
        (folder / "users.txt").write_text(f'"{user}" "{password}"\n')
        text = CONFIGURATION.format(
            host=self._upstream.host or "127.0.0.1",
            port=self._upstream.port or 5432,
            user=user,
            own_port=self._port,
            folder=folder,
            mode=self._mode,
            size=self._size,
        )
        (folder / "pgbouncer.ini").write_text(text)
        self._start(folder)
        return self

    def _start(self, folder: Path) -> None:
        assert PROGRAM is not None
        is_root = os.geteuid() == 0  # It refuses to run as root.
        for path in (folder, *folder.iterdir()) if is_root else ():
            shutil.chown(path, "nobody", "nogroup")
        self._child = subprocess.Popen(  # noqa: S603 - our own words
            [PROGRAM, "--quiet", str(folder / "pgbouncer.ini")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user="nobody" if is_root else None,
            group="nogroup" if is_root else None,
        )
        until = time.monotonic() + 10
        while not self._listens():
            assert self._child.poll() is None, (folder / "log.txt").read_text()
            assert time.monotonic() < until
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _exc: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        assert self._child is not None
        self._child.terminate()
        self._child.wait()
