"""Notes that wait to be sent: kept on the device, per user, each under a name of its own.

A name for each, so that two tabs that put notes here at once overwrite nothing: storage has no
other way to add to what is there.
"""

import json
from dataclasses import asdict, dataclass
from urllib.parse import quote

import js
from pyodide.ffi import JsException


@dataclass(frozen=True, slots=True)
class Waiting:
    """A note that waits.

    Attributes:
        text: What was written.
        key: The Idempotency-Key of every attempt to send it.
        at: Its place in the order, in milliseconds.
        refusal: What the server had against it; empty while it may be sent.
    """

    text: str
    key: str
    at: int
    refusal: str = ""

    @property
    def name(self) -> str:
        """What it is stored under; names sort as notes were written."""
        return f"{self.at:015}{self.key}"


class Shelf:
    """The waiting notes of each user.

    Args:
        storage_key: What the page keeps the session under: the notes lie beside it.
    """

    def __init__(self, storage_key: str) -> None:
        self._storage_key = storage_key

    def place(self, user_id: str) -> str:
        """What the names of all that the user has here begin with."""
        # Quoted, so that no user's id is the beginning of another's.
        return f"{self._storage_key}.waiting.{quote(user_id, safe='')}/"

    def of(self, user_id: str) -> list[Waiting]:
        """The user's notes, in the order in which they were written."""
        place = self.place(user_id)
        try:
            names = sorted(n for n in js.Object.keys(js.localStorage) if n.startswith(place))
            stored = [js.localStorage.getItem(name) for name in names]
        except JsException:
            return []
        return [note for note in map(_note_in, stored) if note]

    def put(self, user_id: str, note: Waiting) -> bool:
        """Keep a note; return whether the device took it."""
        try:
            js.localStorage.setItem(self.place(user_id) + note.name, json.dumps(asdict(note)))
        except JsException:
            return False
        return True

    def drop(self, user_id: str, note: Waiting) -> None:
        """Forget a note."""
        try:
            js.localStorage.removeItem(self.place(user_id) + note.name)
        except JsException:
            return


def _note_in(stored: object) -> Waiting | None:
    if not isinstance(stored, str):
        return None  # Another tab was quicker.
    try:
        return Waiting(**json.loads(stored))
    except (ValueError, TypeError):
        return None  # Not ours.
