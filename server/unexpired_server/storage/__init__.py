"""The tables and the database: SQLite or PostgreSQL, migrations, shared commits."""
