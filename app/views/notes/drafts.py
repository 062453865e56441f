"""Stores the note that a person is writing, on the device and per user, until it is sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import js

from unexpired.outside_text import loads
from views.ui.storage import STORAGE_ERRORS


def _new_key() -> str:
    return f'"{uuid4()}"'


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that is not sent yet.

    Attributes:
        text: The text.
        key: The ``Idempotency-Key`` to send it with, from any tab and after any reload.
        previous_key: The key of the draft that this one was made from by editing.
    """

    text: str = ""
    key: str = field(default_factory=_new_key)
    previous_key: str = ""

    def edited(self, text: str) -> Draft:
        """Return a draft of the new text, with a new key.

        The server treats requests with the same key as one, so only an identical text may keep it.
        """
        return Draft(text, previous_key=self.key)


class Drafts:
    """One draft per user in ``localStorage``; if storage is blocked, drafts are not kept.

    Args:
        storage_key: The session's storage key, which prefixes the names of the drafts.
    """

    def __init__(self, storage_key: str) -> None:
        self._prefix = f"{storage_key}.draft."

    def name(self, user_id: str) -> str:
        """Return the storage key of the user's draft."""
        return self._prefix + user_id

    def load(self, user_id: str) -> Draft:
        """Return the user's draft, or an empty one."""
        try:
            return parse_draft(js.localStorage.getItem(self.name(user_id)))
        except STORAGE_ERRORS:
            return Draft()

    def save(self, user_id: str, draft: Draft) -> bool:
        """Store the draft in place of the last one; return whether that worked."""
        record = {"text": draft.text, "key": draft.key, "over": draft.previous_key}
        try:
            js.localStorage.setItem(self.name(user_id), json.dumps(record))
        except STORAGE_ERRORS:
            return False
        return True

    def delete(self, user_id: str, draft: Draft | None = None) -> None:
        """Delete the user's draft; if one is given, only if the stored draft is still that one."""
        if draft is None or self.load(user_id).key == draft.key:
            try:
                js.localStorage.removeItem(self.name(user_id))
            except STORAGE_ERRORS:
                return


def parse_draft(stored: Any) -> Draft:
    """Return the draft that a stored value represents, or an empty one if there is none."""
    if not isinstance(stored, str):
        return Draft()
    try:
        record = loads(stored)
        return Draft(str(record["text"]), str(record["key"]), str(record.get("over", "")))
    except (ValueError, KeyError, TypeError):
        return Draft(stored)  # An earlier version of the page stored only the text.
