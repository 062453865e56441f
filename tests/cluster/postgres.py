"""PostgreSQL servers of our own: a primary from a template, and replicas that stream from it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg

from tests.cluster.processes import (
    LOOPBACK,
    Child,
    Children,
    ClusterError,
    as_account,
    free_port,
    give_to_account,
    program,
    run,
    wait_until,
)

DATABASE = "unexpired"
OWNER = "unexpired"
SUPERUSER = "postgres"
CONNECTIONS = 90
"""The server's ``max_connections``, of which three are kept for its superuser."""

# Processes are killed here, never the machine, so what was written is there without fsync.
CONFIGURATION = f"""
fsync = off
listen_addresses = '{LOOPBACK}'
unix_socket_directories = ''
max_connections = {CONNECTIONS}
shared_buffers = 32MB
wal_keep_size = 128MB
max_wal_size = 256MB
hot_standby = on
log_line_prefix = '%m [%p] '
"""

OUTAGES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Postgres:
    """One server on a folder of its own.

    Args:
        name: Also its name as a replica.
        folder: Its data.
        children: Starts and finally stops it.
    """

    def __init__(self, name: str, folder: Path, children: Children) -> None:
        self.name = name
        self.folder = folder
        self.port = free_port()
        self._children = children
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The process.

        Raises:
            ClusterError: It was never started.
        """
        if self._child is None:
            raise ClusterError(f"{self.name} was not started")
        return self._child

    async def initialise(self) -> None:
        """Create an empty cluster of databases."""
        self._make_folder()
        options = ("--auth=trust", f"--username={SUPERUSER}", "--encoding=UTF8", "--no-locale")
        await run(*as_account((program("initdb"), *options, "-D", str(self.folder))))
        with (self.folder / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)

    async def copy_from(self, template: Path) -> None:
        """Take over the data of a server that is stopped."""
        self._make_folder()
        await run("cp", "-a", f"{template}/.", str(self.folder))

    def move_log_to(self, folder: Path) -> None:
        """Keep the write-ahead log elsewhere: where its disk is full, the server ends at once."""
        log = self.folder / "pg_wal"
        shutil.move(log, folder)
        for path in (folder, *folder.rglob("*")):
            give_to_account(path)
        log.symlink_to(folder)

    async def follow(self, primary: Postgres) -> None:
        """Become a replica of a running server."""
        self._make_folder()
        source = (
            f"host={LOOPBACK} port={primary.port} user={SUPERUSER} application_name={self.name}"
        )
        options = ("-D", str(self.folder), "-d", source, "-R", "-X", "stream", "-c", "fast")
        await run(*as_account((program("pg_basebackup"), *options, "--no-sync")))

    def _make_folder(self) -> None:
        self.folder.mkdir(exist_ok=True)  # A mounted disk may be there already.
        give_to_account(self.folder)
        self.folder.chmod(0o700)

    async def start(self, *options: str) -> None:
        """Start, and wait until it accepts connections.

        Args:
            *options: Settings as ``name=value``, which win over the files.
        """
        given = [word for option in (f"port={self.port}", *options) for word in ("-c", option)]
        command = (program("postgres"), "-D", str(self.folder), *given)
        log = self.folder.parent / f"{self.name}.log"
        self._child = self._children.start(as_account(command), log)
        await wait_until(f"{self.name} accepts connections", self.is_up)

    async def stop(self) -> None:
        """Stop in order, as an operator does."""
        await self.child.stop(signal.SIGINT)

    def stop_immediately(self) -> None:
        """End as ``pg_ctl stop -m immediate`` or a power cut does: nothing is written any more."""
        self.child.kill()

    async def is_up(self) -> bool:
        """Return whether it answers a query."""
        try:
            await self.rows("SELECT 1", database=SUPERUSER)
        except OUTAGES:
            return False
        return True

    async def connect(self, user: str = SUPERUSER, database: str = DATABASE) -> Any:
        """Open a connection."""
        return await asyncpg.connect(
            host=LOOPBACK, port=self.port, user=user, database=database, timeout=5
        )

    async def rows(self, query: str, *, database: str = DATABASE) -> Sequence[Any]:
        """Run one statement as the superuser; return its rows."""
        connection = await self.connect(database=database)
        try:
            found: Sequence[Any] = await connection.fetch(query, timeout=20)
        finally:
            connection.terminate()
        return found

    async def set(self, name: str, value: str) -> None:
        """Change a setting of the running server."""
        await self.rows(f"ALTER SYSTEM SET {name} = '{value}'")
        await self.rows("SELECT pg_reload_conf()")

    async def promote(self) -> None:
        """Make a primary of a replica, and wait until it takes writes."""
        await self.rows("SELECT pg_promote(wait => true)")

    async def wait_for_replicas(self, count: int) -> None:
        """Wait until so many replicas have caught up."""

        async def stream() -> bool:
            query = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"
            return len(await self.rows(query)) == count

        await wait_until(f"{count} replicas follow {self.name}", stream)
