"""What reaches a database, through SQLAlchemy or by its driver itself."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, event

from unexpired_server.storage.database import Database
from unexpired_server.storage.prepared import FETCH, Prepared

Note = Callable[[str, Any], None]
"""Called with a statement and its parameters."""


@contextmanager
def observed(database: Database, note: Note, *, is_of_groups: bool = False) -> Iterator[None]:
    """Pass on each statement that a database sends.

    Args:
        database: The database.
        note: Called with each.
        is_of_groups: On SQLite only those that share commits, which no job in the background does.
    """

    def by_sqlalchemy(_one: Any, _two: Any, statement: str, parameters: Any, *_more: Any) -> None:
        note(statement, parameters)

    original = Prepared.first

    def by_the_driver(self: Prepared, connection: Connection, values: Mapping[str, Any]) -> Any:
        row = original(self, connection, values)
        if FETCH in connection.get_execution_options():
            compiled: Any = self._compiled
            note(compiled.text, tuple(compiled.in_order(values)))
        return row

    commits = database._group_commit  # noqa: SLF001 - all that reaches the database
    engines = [commits._engine] if commits else []  # noqa: SLF001
    if not engines or not is_of_groups:
        engines.append(database._engine.sync_engine)  # noqa: SLF001
    for engine in engines:
        event.listen(engine, "before_cursor_execute", by_sqlalchemy)
    with patch.object(Prepared, "first", by_the_driver):
        yield
    for engine in engines:
        event.remove(engine, "before_cursor_execute", by_sqlalchemy)
