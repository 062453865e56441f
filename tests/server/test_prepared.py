"""Statements that the driver executes itself: the same rows and failures as by SQLAlchemy."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, Double, String, bindparam, case, func, insert, literal, select
from sqlalchemy.exc import IntegrityError

from unexpired_server.storage.database import Database
from unexpired_server.storage.prepared import Prepared
from unexpired_server.storage.schema import users

STORES = ("sqlite", "postgres")

EVERYTHING = select(
    users.c.id,
    users.c.created_at + bindparam("more", type_=Double()),
    users.c.disabled_at,
    case((users.c.username == "ada", bindparam("text", type_=String())), else_="other"),
    func.length(users.c.username) + 1,
    literal("constant"),
    bindparam("text", type_=String()),
).where(users.c.username == bindparam("username"))


@pytest.fixture
async def database(store: str) -> AsyncIterator[Database]:
    one = Database(store)
    yield one
    await one.close()


@pytest.mark.parametrize("username", ["ada", "bob", "nobody"])
async def test_a_row_is_the_one_that_sqlalchemy_returns(database: Database, username: str) -> None:
    prepared = Prepared(EVERYTHING)

    def both(connection: Connection) -> list[Any]:
        values = {"more": 0.5, "text": "ä'\"$1?", "username": username}
        rows = [prepared.first(connection, values) for _ in range(2)]
        return [connection.execute(EVERYTHING, values).first(), *rows]

    expected, *found = await database.grouped(both)
    assert (expected is None) == (username == "nobody")
    assert [row and tuple(row) for row in found] == [expected and tuple(expected)] * 2


async def test_a_statement_at_fault_fails_its_own_caller_only(database: Database) -> None:
    row = {"id": "new", "username": "ada", "password_hash": "secret", "created_at": 0.0}
    taken = Prepared(insert(users).values(row).returning(users.c.id))
    prepared = Prepared(EVERYTHING)
    values = {"more": 0.0, "text": "", "username": "ada"}

    works = (lambda one: taken.first(one, {})), (lambda one: prepared.first(one, values))
    outcomes = [database.grouped(work) for work in works]
    failed, found = await asyncio.gather(*outcomes, return_exceptions=True)
    assert isinstance(failed, IntegrityError)
    assert "secret" not in str(failed)  # Parameters may be hashes.
    assert found is not None
    assert not isinstance(found, BaseException)
