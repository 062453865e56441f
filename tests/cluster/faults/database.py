"""What can happen to PostgreSQL."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.cluster.postgres import CONNECTIONS, OUTAGES, Postgres
from tests.cluster.processes import send
from tests.cluster.scene import Scene

SETTLED_SECONDS = 0.5
"""After so long no response of a server that is gone is on its way any more."""

BLOCK = bytes(65536)


async def promote_synchronous(scene: Scene) -> None:
    """Stop the primary at once; the replica that each commit has waited for takes over."""
    scene.cluster.primary.stop_immediately()
    await scene.cluster.fail_over_to(scene.cluster.synchronous)


async def promote_asynchronous(scene: Scene) -> None:
    """Stop the primary at once; a replica takes over that lacks the last seconds."""
    cluster = scene.cluster
    query = "SELECT pid FROM pg_stat_replication WHERE application_name = 'asynchronous'"
    send([row["pid"] for row in await cluster.primary.rows(query)], signal.SIGSTOP)
    await scene.outage(at_most=8)
    await _continue_on(scene, cluster.asynchronous)


async def _continue_on(scene: Scene, successor: Postgres) -> None:
    """Stop the primary and go on with a server that has less; note what is missing there."""
    cluster = scene.cluster
    cluster.primary.stop_immediately()
    await asyncio.sleep(SETTLED_SECONDS)
    known = scene.ledger.snapshot()
    await cluster.fail_over_to(successor)
    scene.ledger.compare(known, await cluster.sessions())


async def restore_backup(scene: Scene) -> None:
    """Go back to a backup from before, after all clients have refreshed since."""
    cluster = scene.cluster
    backup = Postgres("backup", cluster.folder / "backup", cluster.children)
    await backup.follow(cluster.primary)
    (backup.folder / "standby.signal").unlink()
    await scene.outage(at_most=40)
    cluster.primary.stop_immediately()
    await asyncio.sleep(SETTLED_SECONDS)
    known = scene.ledger.snapshot()
    # Nodes know the address of the primary, so what was restored must be found there.
    backup.port = cluster.primary.port
    await backup.start()
    cluster.primary = backup
    scene.ledger.compare(known, await cluster.sessions())


async def partition(scene: Scene) -> None:
    """Let the primary be silent: connections stay open, and nothing is answered."""
    primary = scene.cluster.primary
    primary.child.freeze()
    try:
        await scene.outage()
    finally:
        primary.child.thaw()


async def read_only(scene: Scene) -> None:
    """Demote the primary, which keeps its connections; then another server takes the writes."""
    await scene.cluster.primary.set("default_transaction_read_only", "on")
    await scene.outage(at_most=15)
    await scene.cluster.fail_over_to(scene.cluster.synchronous)


async def full_disk(scene: Scene) -> None:
    """Fill the disk with the tables; free it again, and start the server if it has ended."""
    primary = scene.cluster.primary
    filler = primary.folder / "filler"
    await asyncio.to_thread(_fill, filler)
    await scene.outage(at_most=15)
    filler.unlink()
    if not primary.child.is_running:
        scene.notes.append("PostgreSQL had ended and was started again")
        await primary.start()


def _fill(file: Path) -> None:
    with suppress(OSError), file.open("wb", buffering=0) as output:
        while True:
            output.write(BLOCK)


async def no_connections(scene: Scene) -> None:
    """Let foreign programs take every connection, also those that the nodes had."""
    primary = scene.cluster.primary
    foreign: list[Any] = []
    try:
        await _crowd(primary, foreign)
        await primary.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename NOT IN ('foreign_program', 'postgres')"
        )
        await _crowd(primary, foreign)
        scene.expect("foreign programs took most connections", holds=len(foreign) > CONNECTIONS / 2)
        await scene.outage(at_most=15)
    finally:
        for connection in foreign:
            connection.terminate()


async def _crowd(primary: Postgres, foreign: list[Any]) -> None:
    """Connect until the server takes no more."""
    with suppress(*OUTAGES):
        while True:
            foreign.append(await primary.connect("foreign_program"))
