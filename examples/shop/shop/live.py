"""Who is listening: the feed of what happens in the shop, and the chat."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

REMEMBERED = 100
"""How many messages a listener who was away can still get."""

HEARTBEAT = 15.0
"""Seconds between two signs of life, so that no proxy takes the line for dead."""


class Channel:
    """Passes each message on to all who are listening."""

    def __init__(self) -> None:
        self._last: deque[tuple[int, str]] = deque(maxlen=REMEMBERED)
        self._queues: set[asyncio.Queue[tuple[int, str]]] = set()
        self.count = 0

    def send(self, message: object) -> None:
        """Send a message, as JSON."""
        self.count += 1
        numbered = self.count, json.dumps(message)
        self._last.append(numbered)
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()  # Who does not keep up misses the oldest.
            queue.put_nowait(numbered)

    @contextmanager
    def listening(self, after: int | None = None) -> Iterator[asyncio.Queue[tuple[int, str]]]:
        """Collect messages, and those that came after one that the listener knows."""
        queue: asyncio.Queue[tuple[int, str]] = asyncio.Queue(REMEMBERED)
        for numbered in self._last:
            if after is not None and numbered[0] > after:
                queue.put_nowait(numbered)
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)


async def event_stream(channel: Channel, last_id: str, seconds: float) -> AsyncIterator[str]:
    """Return a channel as server-sent events, for as long as the listener's token lives.

    Then the browser comes back with a fresh token, or not at all if it was signed out.

    Args:
        channel: The channel.
        last_id: The ``Last-Event-ID`` of the request; empty the first time.
        seconds: For how long.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    last_id = last_id if last_id.isdecimal() else ""
    with channel.listening(int(last_id) if last_id else None) as queue:
        # Who comes for the first time reads now how things are; what happens next is in the feed.
        start = f"id: {last_id}" if last_id else f"id: {channel.count}\ndata: null"
        yield f"retry: 500\n{start}\n\n"
        while (left := until - loop.time()) > 0:
            try:
                number, text = await asyncio.wait_for(queue.get(), min(left, HEARTBEAT))
            except TimeoutError:
                yield ": still here\n\n"
            else:
                yield f"id: {number}\ndata: {text}\n\n"
