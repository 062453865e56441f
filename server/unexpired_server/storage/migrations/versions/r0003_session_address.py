"""The address that each session was last used from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the address; existing sessions get theirs at their next refresh."""
    op.add_column("sessions", sa.Column("address", sa.String(64)))
