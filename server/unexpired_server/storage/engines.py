"""What opens a SQLite file, so that it can be opened in another way.

The usual way needs threads, and ``sqlalchemy.ext.asyncio`` needs greenlet: a Python in a browser
has neither. So this package imports that module only where it makes such an engine, and elsewhere
only for annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from unexpired_server.storage.database_url import SQLiteFile
from unexpired_server.storage.group_commit import GroupCommit

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(frozen=True, slots=True)
class FileEngines:
    """What reaches a SQLite file.

    Attributes:
        statements: Commits each statement by itself.
        group_commit: Shares commits; where there is none, each piece of work has its own.
    """

    statements: AsyncEngine
    group_commit: GroupCommit | None = None


class OpenFile(Protocol):
    """Opens a SQLite file."""

    def __call__(
        self, file: SQLiteFile, busy_seconds: float, options: Mapping[str, Any]
    ) -> FileEngines:
        """Return what reaches it; connections are opened later.

        Args:
            file: The file.
            busy_seconds: How long to wait for another writer.
            options: For SQLAlchemy's engines.
        """
        ...
