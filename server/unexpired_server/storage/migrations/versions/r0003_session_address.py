"""Sessions know the address that they were last used from."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Widen the table of sessions; those that live already learn theirs at their next refresh."""
    op.add_column("sessions", sa.Column("address", sa.String(64)))
