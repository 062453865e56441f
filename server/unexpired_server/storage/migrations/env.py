"""Alembic's entry point: runs the migrations on the connection that ``migrate`` passes.

On PostgreSQL that connection is in no transaction, and each migration gets one of its own. On
SQLite it holds the write lock, and its transaction contains all of them.
"""

from __future__ import annotations

from alembic import context

from unexpired_server.storage.migrate import declare

context.configure(
    connection=context.config.attributes["connection"],
    transaction_per_migration=True,
    on_version_apply=declare,
)
with context.begin_transaction():
    context.run_migrations()
