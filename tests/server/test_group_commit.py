"""Work that arrives together is committed together; no result precedes its commit."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import IntegrityError, OperationalError

from unexpired_server.storage.group_commit import MAX_BATCH, GroupCommit


class File:
    """A SQLite file with one table, and the statements that were sent to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.statements: list[str] = []
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE numbers (n INTEGER UNIQUE CHECK (n < 1000))")
        connection.close()

    def engine(self) -> Engine:
        waits = {"timeout": 0.05}
        engine = create_engine(
            f"sqlite:///{self.path}", isolation_level="AUTOCOMMIT", connect_args=waits
        )
        event.listen(engine, "before_cursor_execute", self._note)
        return engine

    def _note(self, _connection: object, _cursor: object, statement: str, *_more: object) -> None:
        self.statements.append(statement)

    @property
    def commits(self) -> int:
        return self.statements.count("COMMIT")

    @property
    def stored(self) -> list[int]:
        connection = sqlite3.connect(self.path)
        found = [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY n")]
        connection.close()
        return found


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "numbers.sqlite3")


@pytest.fixture
async def group(file: File) -> AsyncIterator[GroupCommit]:
    group = GroupCommit(file.engine())
    yield group
    group.close()


def adding(n: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.exec_driver_sql("INSERT INTO numbers VALUES (?)", (n,))
        return n

    return work


async def together(group: GroupCommit, *works: Callable[[Connection], Any]) -> list[Any]:
    return await asyncio.gather(*map(group.run, works), return_exceptions=True)


async def test_work_that_arrives_together_shares_a_commit(group: GroupCommit, file: File) -> None:
    assert await together(group, *map(adding, range(10))) == list(range(10))
    assert file.stored == list(range(10))
    assert file.commits == 1


async def test_work_that_arrives_during_a_commit_shares_the_next(
    group: GroupCommit, file: File
) -> None:
    entered, released = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(connection: Connection) -> int:
        loop.call_soon_threadsafe(entered.set)
        released.wait()
        return adding(0)(connection)

    first = asyncio.ensure_future(group.run(slow))
    await entered.wait()
    others = asyncio.create_task(together(group, *map(adding, range(1, 10))))
    await asyncio.sleep(0)
    assert file.stored == []
    released.set()
    assert await first == 0
    assert await others == list(range(1, 10))
    assert file.commits == 2


async def test_no_group_is_larger_than_its_limit(group: GroupCommit, file: File) -> None:
    count = 2 * MAX_BATCH + 1
    assert await together(group, *map(adding, range(count))) == list(range(count))
    assert file.commits == 3


async def test_a_failure_reaches_its_own_caller_and_no_other(
    group: GroupCommit, file: File
) -> None:
    outcomes = await together(group, adding(1), adding(2000), adding(2), adding(1))
    assert outcomes[0] == 1
    assert outcomes[2] == 2
    assert isinstance(outcomes[1], IntegrityError)
    assert isinstance(outcomes[3], IntegrityError)
    assert file.stored == [1, 2]


async def test_a_failure_after_a_write_is_rolled_back(group: GroupCommit, file: File) -> None:
    def fails(connection: Connection) -> None:
        adding(7)(connection)
        raise LookupError

    outcomes = await together(group, fails, adding(8))
    assert isinstance(outcomes[0], LookupError)
    assert file.stored == [8]


async def test_a_database_that_is_locked_fails_all_at_once(group: GroupCommit, file: File) -> None:
    other = sqlite3.connect(file.path)
    other.execute("BEGIN IMMEDIATE")
    outcomes = await together(group, *map(adding, range(5)))
    assert {type(outcome) for outcome in outcomes} == {OperationalError}
    assert file.statements == ["BEGIN IMMEDIATE"]
    other.rollback()
    other.close()
    assert await group.run(adding(1)) == 1


async def test_no_caller_gets_a_result_when_the_commit_fails(
    group: GroupCommit, file: File
) -> None:
    # A deferred constraint is checked by the COMMIT itself.
    connection = sqlite3.connect(file.path)
    connection.execute(
        "CREATE TABLE owned (n INTEGER REFERENCES numbers (n) DEFERRABLE INITIALLY DEFERRED)"
    )
    connection.close()

    def orphan(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        connection.exec_driver_sql("INSERT INTO owned VALUES (99)")

    def strict(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")

    event.listen(group._engine, "connect", strict)  # noqa: SLF001 - what a failing disk would do
    outcomes = await together(group, adding(1), orphan)
    assert outcomes[0] == 1
    assert isinstance(outcomes[1], IntegrityError)
    assert file.stored == [1]


async def test_a_cancelled_caller_does_not_disturb_the_others(
    group: GroupCommit, file: File
) -> None:
    tasks = [group.run(adding(n)) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[0] == 0
    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert outcomes[2] == 2
    assert file.stored == [0, 1, 2]


async def test_closing_ends_the_thread_and_the_next_use_starts_another(
    group: GroupCommit, file: File
) -> None:
    before = set(threading.enumerate())
    assert await group.run(adding(1)) == 1
    (thread,) = set(threading.enumerate()) - before
    group.close()
    thread.join(5)
    assert not thread.is_alive()
    assert await group.run(adding(2)) == 2
    assert file.stored == [1, 2]


def test_a_loop_that_ends_during_a_commit_does_not_disturb_the_next(file: File) -> None:
    group, entered, released = GroupCommit(file.engine()), threading.Event(), threading.Event()

    def slow(connection: Connection) -> int:
        entered.set()
        released.wait()
        return adding(0)(connection)

    async def leave() -> None:
        group.run(slow)
        group.run(adding(3))
        await asyncio.to_thread(entered.wait)

    async def add(n: int) -> int:
        return await group.run(adding(n))

    asyncio.run(leave())
    released.set()
    assert asyncio.run(add(1)) == 1
    assert file.stored == [0, 1, 3]
    group.close()
