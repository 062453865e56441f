"""A SQLite file for a Python without threads and greenlets, such as one in a browser.

Each statement runs where it is awaited, and holds up everything else meanwhile. That is what
SQLAlchemy's asynchronous engine avoids; this has as much of its interface as this package uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, cast

from sqlalchemy import Connection, CursorResult, Engine, Executable

from unexpired_server.storage.database_url import SQLiteFile
from unexpired_server.storage.engines import FileEngines
from unexpired_server.storage.sqlite import make_sync_engine

if TYPE_CHECKING:  # See ``engines``.
    from sqlalchemy.ext.asyncio import AsyncEngine

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def open_file(file: SQLiteFile, busy_seconds: float, options: Mapping[str, Any]) -> FileEngines:
    """Open a file; each piece of work has a commit of its own."""
    engine = InlineEngine(make_sync_engine(file, busy_seconds, **options))
    return FileEngines(cast("AsyncEngine", engine))


class InlineEngine:
    """Has connections whose coroutines never wait.

    Args:
        sync_engine: The engine that does the work.
    """

    def __init__(self, sync_engine: Engine) -> None:
        self.sync_engine = sync_engine

    def execution_options(self, **options: Any) -> InlineEngine:
        """Return an engine with the same pool, and other options."""
        return InlineEngine(self.sync_engine.execution_options(**options))

    def connect(self) -> InlineConnection:
        """Return a connection, for ``async with``."""
        return InlineConnection(self.sync_engine)

    async def dispose(self) -> None:
        """Close the connections of the pool."""
        self.sync_engine.dispose()


class InlineConnection:
    """A connection that is open within ``async with``.

    Args:
        engine: Its engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection

    async def __aenter__(self) -> Self:
        self._connection = self._engine.connect()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _exc: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Execute a statement."""
        return self._connection.execute(statement, parameters)

    async def exec_driver_sql(self, statement: str) -> CursorResult[Any]:
        """Execute a statement as the driver takes it."""
        return self._connection.exec_driver_sql(statement)

    async def run_sync(
        self,
        work: Callable[Concatenate[Connection, Arguments], Result],
        *args: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Result:
        """Run work that takes an ordinary connection."""
        return work(self._connection, *args, **options)

    async def commit(self) -> None:
        """Commit what was done."""
        self._connection.commit()
