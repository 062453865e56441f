"""Records that are kept on the device for each user, in ``localStorage``.

Each record has a storage key of its own, so two tabs that write at the same time do not overwrite
each other's: ``localStorage`` has no transactions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import js

from unexpired.outside_text import loads
from views.ui.storage import STORAGE_ERRORS

Record = TypeVar("Record")


class UserRecords(Generic[Record]):
    """The records of one kind.

    Args:
        storage_key: The session's storage key, which prefixes the names of the records.
        kind: What they are, such as "waiting".
        make: Makes a record of its fields; raises TypeError if they are not its fields.
    """

    def __init__(self, storage_key: str, kind: str, make: Callable[..., Record]) -> None:
        self._start = f"{storage_key}.{kind}."
        self._make = make

    def prefix(self, user_id: str) -> str:
        """Return the start of the storage keys of all the user's records."""
        # Quoted and ended by a slash, so that no user's prefix is the start of another's.
        return f"{self._start}{quote(user_id, safe='')}/"

    def load(self, user_id: str) -> list[Record]:
        """Return what was stored for the user, ordered by the records' names."""
        prefix = self.prefix(user_id)
        try:
            names = sorted(n for n in js.Object.keys(js.localStorage) if n.startswith(prefix))
            stored = [js.localStorage.getItem(name) for name in names]
        except STORAGE_ERRORS:
            return []
        return [record for record in map(self._parsed, stored) if record is not None]

    def save(self, user_id: str, name: str, fields: Mapping[str, Any]) -> bool:
        """Store a record's fields; return whether that worked."""
        try:
            js.localStorage.setItem(self.prefix(user_id) + name, json.dumps(fields))
        except STORAGE_ERRORS:
            return False
        return True

    def delete(self, user_id: str, name: str) -> None:
        """Delete a record."""
        try:
            js.localStorage.removeItem(self.prefix(user_id) + name)
        except STORAGE_ERRORS:
            return

    def _parsed(self, stored: object) -> Record | None:
        if not isinstance(stored, str):
            return None  # Another tab has deleted it meanwhile.
        try:
            return self._make(**loads(stored))
        except (ValueError, TypeError):
            return None  # Written by another program.
