"""The database: its tables, migrations and connections, on SQLite or PostgreSQL."""
