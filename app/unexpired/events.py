"""Who wants to hear of what. A listener's mistake stays its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Literal, get_args

EventName = Literal[
    "signed_in", "refreshed", "expiring", "expired", "signed_out", "degraded", "recovered"
]
Listener = Callable[..., object]

_log = logging.getLogger("unexpired")


class EventEmitter:
    """The listeners of one client."""

    def __init__(self) -> None:
        self._by_event: dict[str, dict[object, Listener]] = {e: {} for e in get_args(EventName)}
        self._tasks: set[asyncio.Future[None]] = set()

    def on(self, event: str, listener: Listener) -> Callable[[], None]:
        """Call the listener at each event of this name; return a function that stops it.

        Raises:
            ValueError: if there is no such event.
        """
        if event not in self._by_event:
            raise ValueError(f"no event {event!r}; there are {', '.join(self._by_event)}")
        key = object()  # So that a listener given twice can be removed once.
        self._by_event[event][key] = listener

        def off() -> None:
            self._by_event[event].pop(key, None)

        return off

    def emit(self, event: str, *details: object) -> None:
        """Tell everyone who listens; what they raise is logged and goes no further."""
        for listener in tuple(self._by_event[event].values()):
            try:
                answer = listener(*details)
            except Exception as error:  # noqa: BLE001 - a listener's mistake must not cost a session
                _complain(event, error)
            else:
                if isinstance(answer, Awaitable):
                    self._follow(event, answer)

    def _follow(self, event: str, answer: Awaitable[object]) -> None:
        """Run an async listener beside us: it may await the client, which must not wait for it."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # A sync program: nothing would ever run the task.
            asyncio.run(_guarded(event, answer))
            return
        task = asyncio.ensure_future(_guarded(event, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _guarded(event: str, answer: Awaitable[object]) -> None:
    try:
        await answer
    except Exception as error:  # noqa: BLE001
        _complain(event, error)


def _complain(event: str, error: Exception) -> None:
    # Only the kind of the error: its text is not ours, and may quote a token.
    _log.error("a listener for %r failed with %s", event, type(error).__name__)
