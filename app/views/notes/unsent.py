"""Sends all that waits on the device, before its author leaves, and says what is left."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from views.notes.change_queue import ChangeQueue
from views.notes.outbox import Outbox
from views.ui.i18n import tr, tr_plural

SECONDS = 5.0
"""How long a person waits for it."""


ONE_UNSENT = (
    "1 change could not be sent yet. It stays on this device, and is sent when you sign in here"
    " again."
)
SOME_UNSENT = (
    "{} changes could not be sent yet. They stay on this device, and are sent when you sign in here"
    " again."
)
UNFINISHED = "What you have begun to write and not saved yet is deleted if you sign out."


async def send_all(outbox: Outbox, changes: ChangeQueue, has_draft: Callable[[], bool]) -> str:
    """Send all notes and changes; return what the person must know of the rest, if anything.

    A deletion that could still be undone is sent too. A text that is not finished is not: it is
    private, and the device may be shared, so a sign-out deletes it, once its author agrees. Notes
    that are left are not counted, nor are their edits: the page says of each note from the start
    that it stays on the device.
    """
    end = monotonic() + SECONDS
    await outbox.finish(SECONDS)  # First, because the edit of a note can only follow it.
    await changes.finish(max(0.0, end - monotonic()))
    left = sum(change.has_id and not change.is_draft for change in changes.pending.values())
    sentences = [tr_plural(left, ONE_UNSENT, SOME_UNSENT)] if left else []
    return " ".join([*sentences, tr(UNFINISHED)] if has_draft() else sentences)
