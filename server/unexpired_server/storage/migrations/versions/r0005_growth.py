"""Numbers of 64 bits, indexes that the requests use, and the jobs that one node does for all.

Nodes of the version before go on meanwhile and after it. On PostgreSQL nothing here blocks them for
longer than it takes to rename a table, except that the notes, which are only the demo's, are
rewritten. It can be interrupted and run again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from unexpired_server.storage.migrate import create_index, drop_index, in_batches

revision = "0005"
down_revision = "0004"
oldest_code = "0004"


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "jobs",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("started_at", sa.Double, nullable=False),
        if_not_exists=True,
    )
    op.execute("INSERT INTO jobs (name, started_at) VALUES ('purge', 0) ON CONFLICT DO NOTHING")
    if op.get_bind().dialect.name == "postgresql":
        _on_postgres()
    else:
        _on_sqlite()
    create_index("ix_sessions_revoked", "sessions", "revoked_at", where="revoked_at IS NOT NULL")
    for name in ("created_at", "revoked_at"):
        drop_index(f"ix_sessions_{name}")


def _on_sqlite() -> None:
    # Early databases have a record of no migration; see the first one.
    if "cause" not in {one["name"] for one in sa.inspect(op.get_bind()).get_columns("events")}:
        op.add_column("events", sa.Column("cause", sa.String(40)))


def _on_postgres() -> None:
    if _exists("events") and _type_of_event_ids() == "integer":
        _start_new_events()
    op.execute("ALTER TABLE notes ALTER COLUMN id TYPE BIGINT")
    op.execute("ALTER SEQUENCE notes_id_seq AS BIGINT")
    op.execute("ALTER TABLE idempotency_keys ALTER COLUMN note_id TYPE BIGINT")
    if _exists("events_32"):
        columns = "id, at, kind, session_id, user_id, address"
        in_batches(
            "WITH moved AS (DELETE FROM events_32 WHERE id IN "  # noqa: S608 - our own names
            f"(SELECT id FROM events_32 ORDER BY id LIMIT :batch) RETURNING {columns}) "
            f"INSERT INTO events ({columns}) SELECT {columns} FROM moved"
        )
        op.execute("DROP TABLE events_32")


def _exists(table: str) -> bool:
    return op.get_bind().scalar(sa.text("SELECT to_regclass(:table)"), {"table": table}) is not None


def _type_of_event_ids() -> str:
    query = sa.text(
        "SELECT format_type(atttypid, NULL) FROM pg_attribute "
        "WHERE attrelid = 'events'::regclass AND attname = 'id'"
    )
    return str(op.get_bind().scalar(query))


def _start_new_events() -> None:
    # To change the type in place would rewrite all events, while nobody could sign in.
    for statement in (
        "ALTER TABLE events RENAME TO events_32",
        "ALTER INDEX events_pkey RENAME TO events_32_pkey",
        "ALTER INDEX ix_events_at RENAME TO ix_events_32_at",
        "CREATE TABLE events (LIKE events_32 INCLUDING DEFAULTS)",
        "ALTER TABLE events ALTER COLUMN id TYPE BIGINT",
        "ALTER TABLE events ADD PRIMARY KEY (id), ADD COLUMN cause VARCHAR(40)",
        "CREATE INDEX ix_events_at ON events (at)",
        "ALTER SEQUENCE events_id_seq AS BIGINT OWNED BY events.id",
    ):
        op.execute(statement)
