"""The tables. Times are Unix seconds; nothing stored here can be used as a token.

Migrations create the tables, so a change here needs a new one in ``migrations/versions``.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata: MetaData = MetaData()

RowId: BigInteger = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database counts up: of 64 bits, which SQLite's INTEGER has as it is."""

users: Table = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("username", String(64), nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("disabled_at", Double),
    # Sorted, and separated by spaces.
    Column("scopes", Text, nullable=False, server_default=""),
)

sessions: Table = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    # No foreign key: the users may be in an application's own table.
    Column("user_id", String(255), nullable=False, index=True),
    Column("counter", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("refreshed_at", Double, nullable=False),
    Column("revoked_at", Double),
    Column("device", String(200), nullable=False),
    # The address that last used it; empty in sessions older than this column until used again.
    Column("address", String(64)),
    # The hashes of its last refreshes' attempts, or what stands for one; see sessions.rules.
    Column("attempts", String(128), nullable=False, server_default=""),
    # The hash of the username, where the users are in an application's own table.
    Column("account", String(32)),
    # The thumbprint of the key that it is bound to (RFC 7638); empty in one that is not bound.
    Column("jkt", String(43)),
)
# No index holds a column that a refresh changes, so a refresh writes none.
Index(
    "ix_sessions_revoked",
    sessions.c.revoked_at,
    postgresql_where=sessions.c.revoked_at.is_not(None),
    sqlite_where=sessions.c.revoked_at.is_not(None),
)
Index(
    "ix_sessions_account",
    sessions.c.account,
    postgresql_where=sessions.c.account.is_not(None),
    sqlite_where=sessions.c.account.is_not(None),
)

identities: Table = Table(
    "identities",
    metadata,
    # Of a provider, which gives a subject to one person only (OpenID Connect Core 1.0, section 2).
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("created_at", Double, nullable=False),
)

sign_in_codes: Table = Table(
    "sign_in_codes",
    metadata,
    # The hash of the code; the code itself is nowhere.
    Column("code_hash", String(43), primary_key=True),
    # No foreign key: the users may be in an application's own table.
    Column("user_id", String(255), nullable=False),
    # The hash of what only the page that began the sign-in has.
    Column("challenge", String(43), nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
)

events: Table = Table(
    "events",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("at", Double, nullable=False, index=True),
    Column("kind", String(40), nullable=False),
    # No foreign keys: an event outlives its session and its user.
    Column("session_id", String(32)),
    Column("user_id", String(255)),
    Column("address", String(64)),
    Column("cause", String(40)),
)

jobs: Table = Table(
    "jobs",
    metadata,
    Column("name", String(40), primary_key=True),
    # When a node last took it on; no other node does so until it is due again.
    Column("started_at", Double, nullable=False),
)
