"""Scopes of users, and sessions of users who are in an application's own table.

Nodes of the version before go on meanwhile and after it. On PostgreSQL no change rewrites rows; on
SQLite, which cannot drop a constraint, the sessions are copied.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from unexpired_server.storage.migrate import create_index

revision = "0006"
down_revision = "0005"
oldest_code = "0005"

COPIED = "id, user_id, counter, created_at, refreshed_at, revoked_at, device, address, attempts"


def upgrade() -> None:
    """Change the tables."""
    if op.get_bind().dialect.name == "postgresql":
        # In the order in which a sign-in takes them, so that the two cannot wait for each other.
        op.execute("LOCK TABLE sessions, users, events")
    if "scopes" not in _columns("users"):
        scopes = sa.Column("scopes", sa.Text, nullable=False, server_default="")
        op.add_column("users", scopes)
    if op.get_bind().dialect.name == "postgresql":
        _on_postgres()
    else:
        _on_sqlite()
    create_index("ix_sessions_account", "sessions", "account", where="account IS NOT NULL")


def _on_postgres() -> None:
    for key in sa.inspect(op.get_bind()).get_foreign_keys("sessions"):
        op.drop_constraint(str(key["name"]), "sessions")
    op.execute("ALTER TABLE sessions ALTER COLUMN user_id TYPE VARCHAR(255)")
    op.execute("ALTER TABLE sessions ADD COLUMN IF NOT EXISTS account VARCHAR(32)")
    op.execute("ALTER TABLE events ALTER COLUMN user_id TYPE VARCHAR(255)")


def _on_sqlite() -> None:
    op.create_table(
        "sessions_of_any",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("counter", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("refreshed_at", sa.Double, nullable=False),
        sa.Column("revoked_at", sa.Double),
        sa.Column("device", sa.String(200), nullable=False),
        sa.Column("address", sa.String(64)),
        sa.Column("attempts", sa.String(128), nullable=False, server_default=""),
        sa.Column("account", sa.String(32)),
    )
    op.execute(f"INSERT INTO sessions_of_any ({COPIED}) SELECT {COPIED} FROM sessions")  # noqa: S608
    op.drop_table("sessions")
    op.rename_table("sessions_of_any", "sessions")
    create_index("ix_sessions_user_id", "sessions", "user_id")
    create_index("ix_sessions_revoked", "sessions", "revoked_at", where="revoked_at IS NOT NULL")
    with op.batch_alter_table("events") as events:
        events.alter_column("user_id", existing_type=sa.String(32), type_=sa.String(255))


def _columns(table: str) -> set[str]:
    return {one["name"] for one in sa.inspect(op.get_bind()).get_columns(table)}
