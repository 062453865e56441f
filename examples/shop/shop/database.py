"""The shop's own database, a SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

TABLES = """
CREATE TABLE IF NOT EXISTS people (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL, role TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS products (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL, stock INTEGER NOT NULL,
    pictures INTEGER NOT NULL DEFAULT 0, picture BLOB, picture_type TEXT
);
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, person TEXT NOT NULL, product TEXT NOT NULL, price INTEGER NOT NULL
);
"""


class Database:
    """Runs statements, each in a connection of its own.

    Args:
        path: The file, which is created if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._connect()) as connection:
            connection.executescript(TABLES)

    def all(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Return the rows of a query, or what a statement returns."""
        with closing(self._connect()) as connection, connection:
            return connection.execute(query, values).fetchall()

    def one(self, query: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        return next(iter(self.all(query, *values)), None)

    def run(self, statement: str, *values: Any) -> int:
        """Run a statement; return how many rows it changed."""
        with closing(self._connect()) as connection, connection:
            return connection.execute(statement, values).rowcount

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path)
        connection.row_factory = sqlite3.Row
        return connection
