"""A SQLite file: created privately, kept private, and tried by a real write."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from unexpired_server.settings import SettingsError
from unexpired_server.storage.database_url import SQLiteFile, sqlite_url
from unexpired_server.storage.engines import FileEngines
from unexpired_server.storage.group_commit import GroupCommit
from unexpired_server.storage.prepared import executed_by

if TYPE_CHECKING:  # See ``storage.engines``.
    from sqlalchemy.ext.asyncio import AsyncEngine

logger: logging.Logger = logging.getLogger("unexpired.server")

COMPANIONS = ("", "-wal", "-shm")
"""What SQLite appends to a file's name for the others beside it."""

OTHERS = 0o007
"""The permission bits of users who are neither the owner nor in the group."""

PROBE_BYTES = 256 * 1024


def open_file(file: SQLiteFile, busy_seconds: float, options: Mapping[str, Any]) -> FileEngines:
    """Open a file for coroutines, and for a thread that shares commits."""
    quick = make_sync_engine(file, busy_seconds, **options)
    statements = make_engine(file, busy_seconds, **options)
    return FileEngines(statements, GroupCommit(executed_by(fetch, quick)))


def make_sync_engine(file: SQLiteFile, busy_seconds: float, **options: Any) -> Engine:
    """Return an engine for a thread of its own."""
    arguments = {"timeout": busy_seconds}
    engine = create_engine(sqlite_url(file, "sqlite"), connect_args=arguments, **options)
    event.listen(engine, "connect", _prepare)
    return engine


def make_engine(file: SQLiteFile, busy_seconds: float, **options: Any) -> AsyncEngine:
    """Return an engine whose statements commit by themselves."""
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - see ``engines``

    arguments = {"timeout": busy_seconds}
    engine = create_async_engine(
        sqlite_url(file, "sqlite+aiosqlite"), connect_args=arguments, **options
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    return engine


def fetch(connection: Connection, text: str, values: Sequence[Any]) -> Sequence[Any]:
    """Execute a statement by the driver itself, which keeps what it has compiled."""
    driver: Any = connection.connection.driver_connection
    try:
        rows: list[Any] = driver.execute(text, values).fetchall()
    except sqlite3.Error as exc:
        raise DBAPIError.instance(text, None, exc, sqlite3.Error, hide_parameters=True) from exc
    return rows


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # A refresh must survive a power cut once the client has its response: the old token is used.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def make_private(path: Path) -> None:
    """Create the file if there is none; take it from the eyes of others if there is one.

    Raises:
        SettingsError: It cannot be created or opened, or others can read it and that cannot be
            changed.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_wal_file(path)
        os.close(os.open(path, os.O_RDWR))
    except OSError as exc:
        raise SettingsError(f"{path} cannot be opened: {exc.strerror}") from None
    if os.name == "posix":
        for suffix in COMPANIONS:
            _close_to_others(path.with_name(path.name + suffix))


def _close_to_others(path: Path) -> None:
    # A file that only its group can read as well is taken for meant, such as for backups.
    with suppress(FileNotFoundError):
        if not path.stat().st_mode & OTHERS:
            return
        with suppress(PermissionError):  # It belongs to another user.
            path.chmod(0o600)
        if path.stat().st_mode & OTHERS:  # Some file systems ignore the change.
            raise SettingsError(f"{path} can be read by others; run: chmod 600 {path}")
        logger.warning("%s could be read by others; its mode is now 600", path)


def _make_wal_file(path: Path) -> None:
    # When several processes switch a new file to WAL at once, SQLite refuses all but one as
    # locked, whatever their timeout. So each creates its own file, and the first one wins.
    descriptor, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    os.close(descriptor)
    try:
        connection = sqlite3.connect(name)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def try_disk(path: Path) -> None:
    """Write a temporary file beside the database.

    A transaction that is rolled back stays in memory, and a small one fits into what SQLite has
    already reserved: neither shows that the disk is full.

    Raises:
        OSError: The disk is full or read-only.
    """
    with tempfile.TemporaryFile(dir=path.parent) as file:
        file.write(b"\0" * PROBE_BYTES)
        file.flush()
        os.fsync(file.fileno())
