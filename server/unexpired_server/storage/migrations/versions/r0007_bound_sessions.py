"""The key that a session is bound to; sessions from before are bound to none, and go on as such.

Nodes of the version before go on meanwhile and after it: they open sessions that are not bound, and
ask for no proof. The column is empty, so no row is written.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
oldest_code = "0006"


def upgrade() -> None:
    """Add the column."""
    op.add_column("sessions", sa.Column("jkt", sa.String(43)))
