"""The lines of the table: what is done to the cluster, one by one."""

from __future__ import annotations

import os
import subprocess

from tests.cluster.faults import database, processes, surroundings, versions
from tests.cluster.nodes import faketime_library
from tests.cluster.processes import program
from tests.cluster.scene import Row
from tests.cluster.topology import Options

SHORT = ("worker", "clock-9d", "asynchronous")
"""What runs in ``make test``; the promotion last, for it ruins the cluster."""


def all_rows() -> tuple[Row, ...]:
    """Return every row, in the order in which they are played."""
    return (
        Row("worker", "SIGKILL of a worker", processes.kill_worker),
        Row("node", "SIGKILL of a node", processes.kill_node),
        Row("supervisor", "SIGKILL of a supervisor", processes.kill_supervisor),
        Row("rolling", "SIGTERM, rolling restart of both nodes", processes.rolling_restart),
        Row("redis-hung", "Redis hangs", surroundings.hang_redis),
        Row("redis-gone", "Redis is gone", surroundings.lose_redis),
        _clock("clock-9d", "a node 9 days ahead", "+9d"),
        _clock("clock-40s", "a node 40 s ahead", "+40s"),
        _clock("clock-20m", "a node 20 min behind", "-20m"),
        Row("connections", "foreign programs take all connections", database.no_connections),
        Row("partition", "the database does not answer", database.partition),
        Row("secret", "the secret is replaced", surroundings.rotate_secret, ruins=True),
        Row(
            "synchronous", "stop of the primary, promotion of the synchronous replica",
            database.promote_synchronous, ruins=True,
        ),
        Row(
            "asynchronous", "stop of the primary, promotion of a replica that lags",
            database.promote_asynchronous, ruins=True,
        ),
        Row("read-only", "the primary turns read-only", database.read_only, ruins=True),
        Row("backup", "an earlier backup is restored", database.restore_backup, ruins=True),
        Row(
            "key", "a key is rotated", surroundings.rotate_key, Options(has_key_file=True),
            ruins=True,
        ),
        Row(
            "disk", "the database's disk is full", database.full_disk,
            Options(has_small_disk=True), ruins=True, lacks=_lacks_mounts,
        ),
        Row(
            "migration", "a migration under old and new nodes, and a roll-back",
            versions.migrate_and_roll_back, ruins=True,
        ),
    )  # fmt: skip


def _clock(name: str, title: str, offset: str) -> Row:
    return Row(name, title, surroundings.wrong_clock(offset), lacks=_lacks_faketime)


def _lacks_faketime() -> str:
    return "" if faketime_library() else "faketime is not installed"


def _lacks_mounts() -> str:
    return "" if os.geteuid() == 0 and _can_mount() else "this account cannot mount a disk"


def _can_mount() -> bool:
    # Root in a container often may not; a mount that nobody else sees shows it.
    probe = (program("unshare"), "--mount", program("mount"), "-t", "tmpfs", "tmpfs", "/mnt")
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0  # noqa: S603
