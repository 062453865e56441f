"""Statements that are compiled once, and that the database's driver executes itself.

For a statement of a few microseconds SQLAlchemy's own work is most of what it costs: a key for its
cache of compiled statements, a context, a cursor and a result, each time. It still compiles the
statement, has the connections, and decides which of them are dead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, Executable

FETCH = "unexpired_fetch"
"""The option of an engine that says how its driver executes a statement."""

Fetch = Callable[[Connection, str, Sequence[Any]], Sequence[Sequence[Any]]]
"""Executes a statement with its parameters in order; returns all rows."""


def executed_by(fetch: Fetch, engine: Engine) -> Engine:
    """Return an engine, with the same pool, on whose connections a driver can be asked itself.

    Args:
        fetch: Asks it. Raises what SQLAlchemy would, and gives up connections that are lost.
        engine: The engine. Its connections commit by themselves, or the caller sends the commit.
    """
    return engine.execution_options(**{FETCH: fetch})


def send(connection: Connection, text: str) -> None:
    """Send a statement without parameters and rows, such as ``COMMIT``.

    Args:
        connection: A connection.
        text: The statement.
    """
    fetch: Fetch | None = connection.get_execution_options().get(FETCH)
    if fetch is None:
        connection.exec_driver_sql(text)
    else:
        fetch(connection, text, ())


class Prepared:
    """A statement of at most one row, whose parameters and columns need no conversion.

    Args:
        statement: The statement.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: _Compiled | None = None

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Execute it; return the row, if there is one.

        Args:
            connection: A connection, always of the same kind of database.
            values: The parameters.
        """
        fetch: Fetch | None = connection.get_execution_options().get(FETCH)
        if fetch is None:  # A pooler is in between, which keeps nothing that was prepared.
            return connection.execute(self._statement, values).first()
        compiled = self._compiled
        if compiled is None:
            compiled = self._compiled = _Compiled(self._statement, connection.dialect)
        rows = fetch(connection, compiled.text, compiled.in_order(values))
        return rows[0] if rows else None


class _Compiled:
    def __init__(self, statement: Any, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.text: str = compiled.string
        names: Sequence[str] = compiled.positiontup
        self._constants = [compiled.params[name] for name in names]
        self._places = list(enumerate(names))

    def in_order(self, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return the parameters in the statement's order."""
        found = self._constants.copy()
        for place, name in self._places:
            if name in values:
                found[place] = values[name]
        return found
