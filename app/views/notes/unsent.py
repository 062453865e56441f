"""Sends all that waits on the device, before its author leaves."""

from __future__ import annotations

import asyncio

from views.notes.change_queue import ChangeQueue
from views.notes.outbox import Outbox

SECONDS = 5.0
"""How long a person waits for it."""


async def send_all(outbox: Outbox, changes: ChangeQueue) -> int:
    """Send all notes and changes; return how many changes are left.

    A deletion that could still be undone is sent too. An edit that is not finished is not. Notes
    that are left are not counted: the page says of each from the start that it stays on the device.
    """
    await asyncio.gather(outbox.finish(SECONDS), changes.finish(SECONDS))
    return sum(not change.is_draft for change in changes.pending.values())
