"""Work that one process of all nodes does, and no other until it is due again."""

from __future__ import annotations

from sqlalchemy import or_, update

from unexpired_server.storage.database import Database
from unexpired_server.storage.schema import jobs

PURGE = "purge"
"""The one job; its row comes with the tables."""


async def claim(database: Database, name: str, now: float, interval: float) -> bool:
    """Take on a job; return False when it is not due, or somebody else has it.

    No process leads, so none has to be replaced: when one dies with a job, the next that asks gets
    it once it is due again.

    Args:
        database: The database.
        name: The job.
        now: The database's time, in Unix seconds.
        interval: Seconds between two starts.

    Raises:
        Unavailable: The database does not respond.
    """
    # A start in the future was written by a clock that was wrong then.
    is_due = or_(jobs.c.started_at <= now - interval, jobs.c.started_at > now)
    query = update(jobs).where(jobs.c.name == name, is_due).values(started_at=now)
    return bool(await database.rows(query.returning(jobs.c.name)))
