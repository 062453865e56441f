"""What a person typed and has not sent: kept on the device, per user, until it is sent."""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import js
from pyodide.ffi import JsException


def _fresh_key() -> str:
    return f'"{uuid4()}"'


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that is not sent yet.

    Attributes:
        text: What was typed.
        key: The Idempotency-Key that it is sent under, from whatever tab, after whatever reload.
        over: The key of the draft that it is an edit of: what its writer saw before.
    """

    text: str = ""
    key: str = field(default_factory=_fresh_key)
    over: str = ""

    def edited(self, text: str) -> "Draft":
        """Another text is another note: only a repeat of the very same may count as one."""
        return Draft(text, over=self.key)


class Drafts:
    """One draft per user in the browser's storage; where storage is blocked, nothing is kept.

    Args:
        storage_key: What the page keeps the session under: drafts lie beside it.
    """

    def __init__(self, storage_key: str) -> None:
        self._prefix = f"{storage_key}.draft."

    def name(self, user_id: str) -> str:
        """What the user's draft is stored under."""
        return self._prefix + user_id

    def load(self, user_id: str) -> Draft:
        """Return the user's draft, an empty one when there is none."""
        try:
            return draft_in(js.localStorage.getItem(self.name(user_id)))
        except JsException:
            return Draft()

    def save(self, user_id: str, draft: Draft) -> bool:
        """Keep the draft in the place of any other; return whether the device took it."""
        record = {"text": draft.text, "key": draft.key, "over": draft.over}
        try:
            js.localStorage.setItem(self.name(user_id), json.dumps(record))
        except JsException:
            return False
        return True

    def forget(self, user_id: str, draft: Draft | None = None) -> None:
        """Forget the user's draft; if one is named, only when it is still that one."""
        if draft is None or self.load(user_id).key == draft.key:
            try:
                js.localStorage.removeItem(self.name(user_id))
            except JsException:
                return


def draft_in(stored: Any) -> Draft:
    """Return the draft that a stored value stands for: an empty one for none."""
    if not isinstance(stored, str):
        return Draft()
    try:
        return Draft(**{name: str(value) for name, value in json.loads(stored).items()})
    except (ValueError, AttributeError, TypeError):
        return Draft(stored)  # An earlier page stored the text alone.
