"""One commit for all that arrives while the last one is on its way to the disk.

A durable SQLite waits for the disk once for each commit, and lets one writer in at a time. So
what is to be written meanwhile is written together: the more arrive at once, the less each of
them waits. Nobody hears of a success before it is on the disk.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

MAX_BATCH = 100
"""How many share a commit at most, so that none of them waits for long."""

Result = TypeVar("Result")
Work = Callable[[Connection], Result]


class GroupCommit:
    """Does work in a thread of its own, in as few transactions as it takes.

    Work is done again, alone, when something fails beside it: it may do nothing that a rollback
    leaves behind.

    Args:
        engine: Of a SQLite file; its connections commit nothing by themselves.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, "commit")
        self._waiting: list[tuple[Work[Any], asyncio.Future[Any]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def run(self, work: Work[Result]) -> Result:
        """Do work in a transaction, alone or with others; it is committed when this returns."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return await done

    def close(self) -> None:
        """Let the thread end, and close its connection."""
        self._thread.shutdown(wait=False)
        self._engine.dispose()

    async def _commit_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            works = [work for work, _ in group]
            outcomes = await loop.run_in_executor(self._thread, self._outcomes, works)
            for (_, done), outcome in zip(group, outcomes, strict=True):
                _tell(done, outcome)
        self._committing = None

    def _outcomes(self, works: Sequence[Work[Any]]) -> list[Any]:
        """What each came to: its result, or its exception."""
        try:
            return self._together(works)
        except Exception as exc:  # noqa: BLE001 - told to whoever waits
            if len(works) == 1 or _is_outage(exc):
                return [exc] * len(works)
            return [outcome for work in works for outcome in self._outcomes([work])]

    def _together(self, works: Sequence[Work[Any]]) -> list[Any]:
        with self._engine.connect() as connection:
            # The write lock first: what is read now cannot be changed by others before we write.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                results = [work(connection) for work in works]
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            return results


def _is_outage(exc: Exception) -> bool:
    # The others speak of one statement, not of the database's health.
    return isinstance(exc, DBAPIError) and not isinstance(exc, IntegrityError | DataError)


def _tell(done: "asyncio.Future[Any]", outcome: Any) -> None:
    if done.done():  # Whoever waited was cancelled.
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
