"""Alembic's migrations; ``storage.migrate`` applies them."""
