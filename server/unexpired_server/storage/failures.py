"""What went wrong in the database: its code, what to do about it, and one log line an outage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

logger: logging.Logger = logging.getLogger("unexpired.server")

OUTAGES = (DBAPIError, PoolTimeoutError, OSError, TimeoutError, BufferError)
"""What a database raises that cannot be used at the moment."""

FAILED_WORK = (DBAPIError, BufferError)
"""What a statement raises that was sent."""

READ_ONLY = "25006"
DISK_FULL = "53100"
LOCK_TIMEOUT = "55P03"
DEADLOCK = "40P01"

SHUTDOWNS = frozenset({"57P01", "57P02", "57P03"})
"""The server ends this connection, and the others with it."""

REPEAT_SECONDS = 60.0
"""How often the log repeats a failure that goes on."""

QUIET_SECONDS = 10.0
"""A success ends an outage when nothing has failed for so long: during one, reads may work and
writes fail."""

SQLSTATE_CLASSES = "08 0A 22 23 25 26 28 2D 34 3D 3F 40 42 53 54 55 57 58 F0 XX"
"""The classes of SQLSTATE that are counted by name."""

MEANINGS = {
    READ_ONLY: "it accepts no writes",
    DISK_FULL: "its disk is full",
    "28P01": "it refuses the password",
    "3D000": "there is no such database",
    "42501": "its user lacks a permission",
    "53300": "it has no connection left",
    "57P03": "it is starting or stopping",
    "TimeoutError": "it did not answer in time",
    "ConnectionRefusedError": "nothing listens at its address",
    "gaierror": "its host has no address",
    "SQLITE_FULL": "its disk is full",
    "SQLITE_BUSY": "another process holds its lock",
    "SQLITE_READONLY": "it accepts no writes",
}


def is_outage(exc: BaseException) -> bool:
    """Return whether the database is at fault, and not one statement."""
    return isinstance(exc, OUTAGES) and not isinstance(exc, IntegrityError | DataError)


def code_of(exc: BaseException) -> str:
    """Return the SQLSTATE, SQLite's name of the error, or else the name of the exception."""
    found = [
        getattr(one, "sqlstate", None) or getattr(one, "sqlite_errorname", None)
        for one in _chain(exc)
    ]
    codes = [str(code) for code in found if code]
    # The last is the cause of the others: a shutdown, and then a connection that was closed.
    return codes[-1] if codes else type(next(_chain(exc))).__name__


def describe(exc: BaseException) -> str:
    """Return a failure in words and with its code, but never a value of a statement."""
    code = code_of(exc)
    meaning = MEANINGS.get(code) or MEANINGS.get("_".join(code.split("_")[:2]))
    # The message of an exception may quote values; its name does not.
    name = meaning or type([*_chain(exc)][-1]).__name__
    return name if name == code else f"{name} ({code})"


def label_of(exc: BaseException) -> str:
    """Return what a failure is counted as; one of a few dozen names."""
    code = code_of(exc)
    if code.startswith("SQLITE_"):
        return "_".join(code.split("_")[:2])
    if len(code) == len(READ_ONLY) and code[:2] in SQLSTATE_CLASSES.split():
        return code[:2]
    if isinstance(exc, TimeoutError | PoolTimeoutError):
        return "timeout"
    return "connection" if isinstance(exc, OSError) else "other"


def ends_connection(exc: BaseException) -> bool:
    """Return whether every connection that is open now is useless after this failure."""
    code = code_of(exc)
    is_lost = len(code) == len(READ_ONLY) and code.startswith("08")
    return is_lost or code == READ_ONLY or code in SHUTDOWNS


def is_stale(exc: BaseException) -> bool:
    """Return whether a migration changed the types of a statement that was prepared before.

    asyncpg then reads the result as what it was, and finds more or fewer bytes or columns.
    """
    names = {type(one).__name__ for one in _chain(exc)}
    return not names.isdisjoint({"BufferError", "ProtocolError", "InvalidCachedStatementError"})


def is_confused(exc: BaseException) -> bool:
    """Return whether the driver has lost its place on this connection, as when it dies just now."""
    return any(type(one).__name__ == "InternalClientError" for one in _chain(exc))


def may_run_again(exc: BaseException) -> bool:
    """Return whether work that failed like this succeeds on another connection."""
    return is_stale(exc) or (isinstance(exc, DBAPIError) and exc.connection_invalidated)


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """Yield the driver's exception as SQLAlchemy has it, then the driver's own."""
    one: BaseException | None = exc.orig if isinstance(exc, DBAPIError) and exc.orig else exc
    while one is not None:
        yield one
        one = one.__cause__


@dataclass
class _Cause:
    count: int
    logged_at: float


class FailureLog:
    """Logs each cause of an outage once, then at most once a minute, and the recovery.

    Args:
        on_failure: Called with a label for each failure, to count them.
        now: Monotonic seconds.
    """

    def __init__(
        self, on_failure: Callable[[str], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_failure = on_failure
        self._now = now
        self._causes: dict[str, _Cause] = {}
        self._began_at = 0.0
        self._failed_at = 0.0

    def failed(self, exc: BaseException) -> None:
        """Count a failure; log it unless it was logged just now."""
        self._on_failure(label_of(exc))
        now, text = self._now(), describe(exc)
        if not self._causes:
            self._began_at = now
        self._failed_at = now
        cause = self._causes.get(text)
        if cause is None:
            self._causes[text] = _Cause(1, now)
            logger.error("the database fails: %s", text)
            return
        cause.count += 1
        if now - cause.logged_at >= REPEAT_SECONDS:
            cause.logged_at = now
            logger.error("the database still fails: %s, %d times so far", text, cause.count)

    def succeeded(self) -> None:
        """End the outage, if there was one and nothing fails any more."""
        if not self._causes or self._now() - self._failed_at < QUIET_SECONDS:
            return
        count = sum(cause.count for cause in self._causes.values())
        seconds = self._failed_at - self._began_at
        self._causes.clear()
        logger.warning("the database works again, after %d failures in %.0f s", count, seconds)
