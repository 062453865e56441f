"""Records that are kept on the device for each user, in ``localStorage``.

Each record has a storage key of its own, so two tabs that write at the same time do not overwrite
each other's: ``localStorage`` has no transactions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import js

from unexpired.outside_text import loads
from views.ui.storage import STORAGE_ERRORS


class UserRecords:
    """The records of one kind.

    Args:
        storage_key: The session's storage key, which prefixes the names of the records.
        kind: What they are, such as "waiting".
    """

    def __init__(self, storage_key: str, kind: str) -> None:
        self._start = f"{storage_key}.{kind}."

    def prefix(self, user_id: str) -> str:
        """Return the start of the storage keys of all the user's records."""
        # Quoted and ended by a slash, so that no user's prefix is the start of another's.
        return f"{self._start}{quote(user_id, safe='')}/"

    def load(self, user_id: str) -> list[Any]:
        """Return what was stored for the user, ordered by the records' names."""
        prefix = self.prefix(user_id)
        try:
            names = sorted(n for n in js.Object.keys(js.localStorage) if n.startswith(prefix))
            stored = [js.localStorage.getItem(name) for name in names]
        except STORAGE_ERRORS:
            return []
        return [parsed for parsed in map(_parse, stored) if parsed is not None]

    def save(self, user_id: str, name: str, record: Mapping[str, Any]) -> bool:
        """Store a record; return whether that worked."""
        try:
            js.localStorage.setItem(self.prefix(user_id) + name, json.dumps(record))
        except STORAGE_ERRORS:
            return False
        return True

    def delete(self, user_id: str, name: str) -> None:
        """Delete a record."""
        try:
            js.localStorage.removeItem(self.prefix(user_id) + name)
        except STORAGE_ERRORS:
            return


def _parse(stored: object) -> Any:
    if not isinstance(stored, str):
        return None  # Another tab has deleted it meanwhile.
    try:
        return loads(stored)
    except ValueError:
        return None  # Written by another program.
