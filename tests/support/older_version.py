"""What the version before bound sessions left on devices and in databases."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any


def record_of_older_version(tokens: Mapping[str, Any], api: str, *, left: float) -> str:
    """Return the text that it stored for the tokens of a sign-in, member by member.

    Args:
        tokens: The response.
        api: The API's origin.
        left: Seconds until the access token expires.
    """
    return json.dumps(
        {
            "version": 1,
            "api": api,
            "session": "ae30f3b8b07ffcbd",
            "generation": 1,
            "accessToken": tokens["accessToken"],
            "refreshToken": tokens["refreshToken"],
            "expiresAt": time.time() + left,
            "lifetime": float(tokens["expiresIn"]),
            "skew": 0.0,
            "user": tokens["user"],
            "refused": None,
            "attempt": "......................",
        }
    )


def take_keys_out(database: Path) -> None:
    """Make a database that of the version before, in which sessions have no keys."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for later in ("sign_in_codes", "identities"):
            connection.execute(f"DROP TABLE {later}")
        connection.execute("ALTER TABLE sessions DROP COLUMN jkt")
        connection.execute("UPDATE alembic_version SET version_num = '0006'")
