"""Migrates a database's tables, and checks whether they are up to date."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x756E6578
"""The advisory lock for migrations on PostgreSQL; any number that nothing else there uses."""


def upgrade(connection: Connection) -> None:
    """Apply every migration that this database lacks; all of them or none.

    Args:
        connection: In a transaction that the caller commits.
    """
    if connection.dialect.name == "postgresql":
        # Of two nodes that migrate at once, the second waits and finds the work done.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_current(connection: Connection) -> bool:
    """Return whether the tables are those of this version."""
    current = MigrationContext.configure(connection).get_current_revision()
    return current == ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
