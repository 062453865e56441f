"""Connections to PostgreSQL: which server, which of the pool's connections, and a pooler between.

No connection is pinged before each use, because that doubles the round trips of a refresh. One is
checked when it was idle for long, or last used before something timed out; one that the server has
closed is known without asking. When a server says that it shuts down or accepts no writes, every
connection that was open then is replaced before its next use, so a fail-over needs no restart.

A pooler such as PgBouncer may run each transaction on another connection of its own. It shows by
the process id, which PostgreSQL tells a client when it connects and a pooler makes up. Then every
statement is sent in an explicit transaction, and none is prepared under a name.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.util import await_only

from unexpired_server.storage import failures
from unexpired_server.storage.database_url import PostgresServer

if TYPE_CHECKING:  # See ``storage.engines``.
    from sqlalchemy.ext.asyncio import AsyncEngine

logger: logging.Logger = logging.getLogger("unexpired.server")

IDLE_SECONDS = 30.0
"""A connection that was used within this time is taken from the pool without a check."""

CHECK_SECONDS = 1.0
"""How long a check may take; a connection that is slower is replaced."""

REPLACE_SECONDS = 2.0
"""A connection younger than this is kept when it accepts no writes: another would be no better."""

PROBE = (
    "SELECT pg_backend_pid() AS pid, pg_is_in_recovery() AS is_standby, "
    "current_setting('transaction_read_only') = 'on' AS is_read_only"
)


_numbers = count(1)


def _next_name() -> str:
    """Return a name that no statement on any connection has."""
    return f"unexpired_{next(_numbers)}"


class PoolerFoundError(Exception):
    """A connection pooler is in between, and the engine sends statements without transactions."""


class WrongTargetError(ConnectionError):
    """The server can be reached, but is not the primary."""


class Connector:
    """Opens connections to the first host that is suitable; the last one that was is tried first.

    Args:
        server: The hosts.
        timeout: Seconds for all hosts together, where the URL has no other.
        command_timeout: Seconds that a statement may take; no limit when None.
    """

    def __init__(
        self, server: PostgresServer, timeout: float, command_timeout: float | None
    ) -> None:
        self._server = server
        self._hosts = list(server.hosts)
        # A host that does not answer must leave time for the others.
        self._timeout = (server.connect_timeout or timeout) / len(self._hosts)
        self._command_timeout = command_timeout

    async def connect(self, *, allows_pooler: bool) -> Any:
        """Return an asyncpg connection.

        Args:
            allows_pooler: Whether a pooler may be in between.

        Raises:
            PoolerFoundError: There is a pooler.
        """
        problems: list[Exception] = []
        for host in list(self._hosts):
            try:
                connection = await self._connect(host, allows_pooler=allows_pooler)
            except PoolerFoundError:
                raise
            except Exception as exc:  # noqa: BLE001 - raised below, if no other host is suitable
                problems.append(exc)
                continue
            self._hosts.sort(key=lambda one: one != host)
            return connection
        raise next((p for p in problems if not isinstance(p, WrongTargetError)), problems[0])

    async def _connect(self, host: tuple[str, int] | None, *, allows_pooler: bool) -> Any:
        import asyncpg  # noqa: PLC0415 - an extra

        where = {} if host is None else {"host": host[0], "port": host[1]}
        arguments = self._server.arguments | where | {"target_session_attrs": "any"}
        connection = await asyncpg.connect(
            **arguments,
            timeout=self._timeout,
            command_timeout=self._command_timeout,
            statement_cache_size=0,  # SQLAlchemy has its own.
        )
        try:
            await asyncio.wait_for(
                self._inspect(connection, allows_pooler=allows_pooler), self._timeout
            )
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _inspect(self, connection: Any, *, allows_pooler: bool) -> None:
        async with connection.transaction():  # A pooler keeps both halves of a query together.
            found = await connection.fetchrow(PROBE)
        if not allows_pooler and found["pid"] != connection.get_server_pid():
            raise PoolerFoundError
        target = self._server.target
        if (target != "any" and found["is_standby"]) or (
            target == "read-write" and found["is_read_only"]
        ):
            raise WrongTargetError("the server is not the primary")


class PoolGuard:
    """Replaces connections that are dead or read-only when they are next taken from the pool.

    Args:
        now: Monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._replaced_before = float("-inf")
        self._doubted_before = float("-inf")

    def watch(self, engine: AsyncEngine) -> None:
        """Guard the pool of an engine."""
        event.listen(engine.sync_engine, "connect", self._connected)
        event.listen(engine.sync_engine, "checkin", self._checked_in)
        event.listen(engine.sync_engine, "checkout", self._checked_out)
        event.listen(engine.sync_engine, "handle_error", self._failed)

    def fetch(self, connection: Connection, text: str, values: Sequence[Any]) -> Sequence[Any]:
        """Execute a statement by the driver itself, prepared once on each connection.

        Raises:
            DBAPIError: As SQLAlchemy would raise; with its own exception in place of SQLAlchemy's.
        """
        driver: Any = connection.connection.driver_connection
        try:
            return await_only(_fetch(driver, connection.info, text, values))
        except Exception as exc:
            is_lost = self._condemns(exc, lambda: _opened_at(connection)) or driver.is_closed()
            if is_lost:
                connection.invalidate(exc)
            wrapper = _wrapper(exc)
            if wrapper is None:
                raise
            raise wrapper(
                text, None, exc, hide_parameters=True, connection_invalidated=is_lost
            ) from exc
        except BaseException as exc:  # Cancelled in the middle, as when the process ends.
            connection.invalidate(exc)
            raise

    def _connected(self, _connection: object, record: Any) -> None:
        record.info["opened_at"] = record.info["used_at"] = self._now()

    def _checked_in(self, _connection: object, record: Any) -> None:
        record.info["used_at"] = self._now()

    def _checked_out(self, connection: Any, record: Any, _proxy: object) -> None:
        driver = connection.driver_connection
        if driver.is_closed() or record.info["opened_at"] <= self._replaced_before:
            raise DisconnectionError("closed, or opened before a fail-over")
        used_at = record.info["used_at"]
        if used_at <= self._doubted_before or used_at < self._now() - IDLE_SECONDS:
            self._check(driver)

    def _check(self, driver: Any) -> None:
        try:
            # As text, in one message: so it works through a pooler as well.
            await_only(driver.execute("SELECT 1", timeout=CHECK_SECONDS))
        except Exception as exc:
            driver.terminate()  # The others are checked, too, each when it is needed.
            self._doubted_before = self._now()
            raise DisconnectionError("idle, and it does not respond") from exc

    def _failed(self, context: ExceptionContext) -> None:
        context.invalidate_pool_on_disconnect = False  # The guard does that, by a monotonic clock.
        if self._condemns(context.original_exception, lambda: _opened_at(context.connection)):
            context.is_disconnect = True

    def _condemns(self, exc: BaseException, opened_at: Callable[[], float]) -> bool:
        """Note what a failure says about all connections; return whether its own is useless.

        Args:
            exc: The failure.
            opened_at: Returns when its connection was opened.
        """
        if isinstance(exc, TimeoutError):
            self._doubted_before = self._now()
            return True
        if failures.is_stale(exc):
            self._replaced_before = self._now()  # All others have prepared the same statements.
            return True
        if failures.is_confused(exc):
            return True
        if not failures.ends_connection(exc):
            return False
        if failures.code_of(exc) == failures.READ_ONLY and not self._is_old(opened_at()):
            return False
        self._replaced_before = max(self._replaced_before, self._now())
        return True

    def _is_old(self, opened_at: float) -> bool:
        return opened_at <= self._now() - REPLACE_SECONDS


def _opened_at(connection: Connection | None) -> float:
    if connection is None or connection.invalidated or connection.closed:
        return float("-inf")
    opened_at: float = connection.info.get("opened_at", float("-inf"))
    return opened_at


async def _fetch(driver: Any, known: dict[Any, Any], text: str, values: Sequence[Any]) -> Any:
    statement = known.get(text)
    if statement is None:
        statement = known[text] = await driver.prepare(text, name=_next_name())
    return await statement.fetch(*values)


def _wrapper(exc: Exception) -> type[DBAPIError] | None:
    """Return what SQLAlchemy would raise for one of asyncpg's own exceptions."""
    from asyncpg import exceptions  # noqa: PLC0415 - an extra

    if isinstance(exc, exceptions.IntegrityConstraintViolationError):
        return IntegrityError
    own = exceptions.InterfaceError, exceptions.InternalClientError, exceptions.PostgresError
    return DBAPIError if isinstance(exc, own) else None


def make_engine(connector: Connector, *, is_pooled: bool, **options: Any) -> AsyncEngine:
    """Return an engine.

    Args:
        connector: Opens its connections.
        is_pooled: Whether a pooler may be in between. Each statement then needs a transaction that
            the caller commits; otherwise it commits by itself.
        **options: For SQLAlchemy.
    """
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - see ``engines``

    async def connect(**_arguments: Any) -> Any:
        return await connector.connect(allows_pooler=is_pooled)

    arguments: dict[str, Any] = {"async_creator_fn": connect}
    if is_pooled:
        arguments |= {
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: "",
        }
    else:
        # Without a name, asyncpg parses a statement again before each use, in a round trip of its
        # own: a refresh takes two in place of one.
        arguments["prepared_statement_name_func"] = _next_name
    return create_async_engine(
        "postgresql+asyncpg://",
        connect_args=arguments,
        isolation_level="READ COMMITTED" if is_pooled else "AUTOCOMMIT",
        hide_parameters=True,  # Keeps hashes and notes out of errors, and so out of logs.
        **options,
    )
