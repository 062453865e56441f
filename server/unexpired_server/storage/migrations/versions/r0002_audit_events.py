"""Events of failed sign-ins, which have no session; and the address of every event."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the address; let session and user be empty."""
    with op.batch_alter_table("events") as events:
        events.alter_column("session_id", existing_type=sa.String(32), nullable=True)
        events.alter_column("user_id", existing_type=sa.String(32), nullable=True)
        events.add_column(sa.Column("address", sa.String(64)))
    op.create_index("ix_events_at", "events", ["at"])
