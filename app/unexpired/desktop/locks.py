"""A lock on a file: one refresh at a time among the processes of one user.

The system releases the lock of a process that dies, so a killed program blocks no other one. Where
the file cannot be made, the server still gives a duplicate refresh the same result.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import AsyncFileLock, FileLock, Timeout

from unexpired.errors import Unreachable
from unexpired.ports import ThreadLock

if TYPE_CHECKING:
    from unexpired.ports import RefreshLock, SyncRefreshLock

_log = logging.getLogger("unexpired")


class SyncProcessLock:
    """A lock on a file, for threads and processes.

    Args:
        path: The lock file; its folder is created if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._among_threads = ThreadLock()

    @contextmanager
    def hold(self, timeout: float) -> Iterator[None]:
        """Hold the lock; see ``SyncRefreshLock``."""
        lock = FileLock(self._path, timeout=timeout)
        with self._among_threads.hold(timeout):
            with _without_file():
                _make_folder(self._path)
                lock.acquire()
            try:
                yield
            finally:
                lock.release()


class ProcessLock:
    """``SyncProcessLock`` for the client that awaits, which refreshes once at a time anyway.

    Args:
        path: The lock file; its folder is created if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @asynccontextmanager
    async def hold(self, timeout: float) -> AsyncIterator[None]:  # noqa: ASYNC109 - the port's contract
        """Hold the lock; see ``RefreshLock``."""
        lock = AsyncFileLock(self._path, timeout=timeout, run_in_executor=False)
        with _without_file():
            _make_folder(self._path)
            await lock.acquire()
        try:
            yield
        finally:
            await lock.release()


def _make_folder(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def _without_file() -> Iterator[None]:
    """Continue if the file cannot be locked, but raise if another process holds it too long."""
    try:
        yield
    except Timeout:
        raise Unreachable from None
    except OSError as error:
        _log.warning("the session's lock file cannot be used: %s", error.strerror)


if TYPE_CHECKING:
    _sync: type[SyncRefreshLock] = SyncProcessLock
    _async: type[RefreshLock] = ProcessLock
