"""Notes by the thousand, stored as another program would."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.support.server_process import DATABASE, ServerProcess


def store_notes(server: ServerProcess, count: int) -> None:
    """Give Ada these notes and no others: "number 0;" is the oldest."""
    with closing(sqlite3.connect(server.folder / DATABASE)) as database, database:
        (user_id,) = database.execute("SELECT id FROM users WHERE username = 'ada'").fetchone()
        database.execute("DELETE FROM notes")
        database.executemany(
            "INSERT INTO notes (user_id, text, created_at) VALUES (?, ?, ?)",
            [(user_id, f"number {number};", 1.0) for number in range(count)],
        )
