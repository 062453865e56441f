"""Temporary PostgreSQL databases."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import NullPool, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

ADMIN = os.environ.get(
    "UNEXPIRED_TEST_POSTGRES", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres"
)
"""A database whose user may create others; the tests use the same variable."""


def trouble() -> str | None:
    """Return why PostgreSQL cannot be used; None when it can."""
    try:
        _administer("SELECT 1")
    except Exception as exc:  # noqa: BLE001 - the results report any failure
        return f"No PostgreSQL at UNEXPIRED_TEST_POSTGRES or localhost ({type(exc).__name__})."
    return None


@contextmanager
def fresh_database() -> Iterator[str]:
    """Create an empty database, yield its address, and drop it."""
    name = f"unexpired_benchmark_{secrets.token_hex(6)}"
    _administer(f"CREATE DATABASE {name}")
    try:
        yield make_url(ADMIN).set(database=name).render_as_string(hide_password=False)
    finally:
        _administer(f"DROP DATABASE {name} WITH (FORCE)")


def _administer(statement: str) -> None:
    asyncio.run(_execute(statement))


async def _execute(statement: str) -> None:
    engine = create_async_engine(ADMIN, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text(statement))
