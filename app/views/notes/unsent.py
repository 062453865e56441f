"""Sends all that waits on the device, before its author leaves."""

from __future__ import annotations

from time import monotonic

from views.notes.change_queue import ChangeQueue
from views.notes.outbox import Outbox

SECONDS = 5.0
"""How long a person waits for it."""


async def send_all(outbox: Outbox, changes: ChangeQueue) -> int:
    """Send all notes and changes; return how many changes are left.

    A deletion that could still be undone is sent too. An edit that is not finished is not. Notes
    that are left are not counted, nor are their edits: the page says of each note from the start
    that it stays on the device.
    """
    end = monotonic() + SECONDS
    await outbox.finish(SECONDS)  # First, because the edit of a note can only follow it.
    await changes.finish(max(0.0, end - monotonic()))
    return sum(change.has_id and not change.is_draft for change in changes.pending.values())
