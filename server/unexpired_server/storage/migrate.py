"""Bringing a database's tables up to date, and telling whether they are."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x756E6578
"""PostgreSQL's advisory lock for this; any number that nothing else in the database uses."""


def upgrade(connection: Connection) -> None:
    """Walk every step that this database has not seen; all of them, or none.

    Args:
        connection: In a transaction that the caller commits.
    """
    if connection.dialect.name == "postgresql":
        # Of two nodes that start at once, the second finds the work done.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_current(connection: Connection) -> bool:
    """Whether the tables are those that this version works with."""
    current = MigrationContext.configure(connection).get_current_revision()
    return current == ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
