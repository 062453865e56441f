"""Group commit: work that arrives during a commit shares the next one.

A durable SQLite waits for the disk at each commit and has one writer at a time, so work that
arrives meanwhile is committed together: the more arrives at once, the less each item waits. No
caller gets a result before it is on the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

MAX_BATCH = 100
"""The most that share one commit, so that none waits for long."""

Result = TypeVar("Result")
Work = Callable[[Connection], Result]


class GroupCommit:
    """Runs work in a thread of its own, in as few transactions as possible.

    When one item of a batch fails, the others run again one by one, so work must have no effect
    that a rollback does not undo.

    Args:
        engine: Of a SQLite file, with connections that never commit by themselves.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, "commit")
        self._waiting: list[tuple[Work[Any], asyncio.Future[Any]]] = []
        self._committing: asyncio.Task[None] | None = None

    def run(self, work: Work[Result]) -> asyncio.Future[Result]:
        """Run work in a transaction, possibly with others; the result comes once committed."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return done

    def close(self) -> None:
        """End the thread and close its connection; the next use starts another."""
        self._thread.shutdown(wait=False)
        self._thread = ThreadPoolExecutor(1, "commit")
        self._engine.dispose()

    async def _commit_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            works = [work for work, _ in group]
            outcomes = await loop.run_in_executor(self._thread, self._outcomes, works)
            for (_, done), outcome in zip(group, outcomes, strict=True):
                _resolve(done, outcome)
        self._committing = None

    def _outcomes(self, works: Sequence[Work[Any]]) -> list[Any]:
        """Return the result or the exception of each."""
        try:
            return self._together(works)
        except Exception as exc:  # noqa: BLE001 - raised again where the result is awaited
            if len(works) == 1 or _is_outage(exc):
                return [exc] * len(works)
            return [outcome for work in works for outcome in self._outcomes([work])]

    def _together(self, works: Sequence[Work[Any]]) -> list[Any]:
        with self._engine.connect() as connection:
            # Take the write lock first: no other writer may change what the work reads.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                results = [work(connection) for work in works]
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                with suppress(DBAPIError):  # On some errors SQLite has already rolled back.
                    connection.exec_driver_sql("ROLLBACK")
                raise
            return results


def _is_outage(exc: Exception) -> bool:
    # The others are the fault of one statement, not of the database.
    return isinstance(exc, DBAPIError) and not isinstance(exc, IntegrityError | DataError)


def _resolve(done: asyncio.Future[Any], outcome: Any) -> None:
    if done.done():  # Its caller was cancelled.
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
