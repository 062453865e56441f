"""Whether a database's tables are those of this version.

They are at almost every start, so ``migrate`` is imported only where they are not: Alembic takes an
eighth of the time that a server needs to start.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from pkgutil import iter_modules

from sqlalchemy import Connection, inspect, text

from unexpired_server.settings import SettingsError

FOLDER = Path(__file__).parent / "migrations"

UP_TO_DATE = "The tables are up to date."


class TablesError(SettingsError):
    """This version cannot serve on the database's tables as they are."""


def is_current(connection: Connection) -> bool:
    """Return whether the tables are exactly those of this version."""
    return revision(connection) == _newest(FOLDER)


def revision(connection: Connection) -> str | None:
    """Return the revision of the tables, as Alembic wrote it; None when there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
    return "+".join(sorted(found)) or None


@cache
def _newest(folder: Path) -> str:
    """Return the revision of the newest migration, which its file is named after."""
    # Python's own way finds modules in an archive, too.
    modules = iter_modules([str(folder / "versions")])
    newest = max(module.name for module in modules if module.name.startswith("r"))
    return newest.removeprefix("r").partition("_")[0]
