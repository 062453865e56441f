"""People who sign in at a provider, and the codes that bring them back.

Nodes of the version before go on meanwhile and after it: they do not know the tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from unexpired_server.storage.migrate import create_index

revision = "0008"
down_revision = "0007"
oldest_code = "0007"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "identities",
        sa.Column("issuer", sa.String(255), primary_key=True),
        sa.Column("subject", sa.String(255), primary_key=True),
        sa.Column("user_id", sa.String(32), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_table(
        "sign_in_codes",
        sa.Column("code_hash", sa.String(43), primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("challenge", sa.String(43), nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    create_index("ix_sign_in_codes_expires_at", "sign_in_codes", "expires_at")
