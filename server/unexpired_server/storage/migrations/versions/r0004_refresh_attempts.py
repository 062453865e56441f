"""What is remembered of each session's last refreshes, so that one can be asked for again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the attempts; of the refreshes before, none is known."""
    attempts = sa.Column("attempts", sa.String(128), nullable=False, server_default="")
    op.add_column("sessions", attempts)
