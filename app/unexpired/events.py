"""Event subscriptions. An exception in a listener is logged and never propagates."""

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
        """Call the listener at each event of this name; return a function that unsubscribes it.

        Raises:
            ValueError: If there is no such event.
        """
        if event not in self._by_event:
            raise ValueError(f"no event {event!r}; there are {', '.join(self._by_event)}")
        key = object()  # So that a listener that was added twice can be removed once.
        self._by_event[event][key] = listener

        def off() -> None:
            self._by_event[event].pop(key, None)

        return off

    def emit(self, event: str, *details: object) -> None:
        """Call the listeners of an event; what they raise is logged."""
        for listener in tuple(self._by_event[event].values()):
            try:
                result = listener(*details)
            except Exception as error:  # noqa: BLE001 - a faulty listener must not cost a session
                _log_failure(event, error)
            else:
                if isinstance(result, Awaitable):
                    self._run(event, result)

    def _run(self, event: str, result: Awaitable[object]) -> None:
        """Run an async listener as a task: it may await the client, which must not wait for it."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # A sync program: no event loop would ever run the task.
            asyncio.run(_logging_failure(event, result))
            return
        task = asyncio.ensure_future(_logging_failure(event, result))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _logging_failure(event: str, result: Awaitable[object]) -> None:
    try:
        await result
    except Exception as error:  # noqa: BLE001
        _log_failure(event, error)


def _log_failure(event: str, error: Exception) -> None:
    # Only the type of the error: its text is not ours, and may quote a token.
    _log.error("a listener for %r failed with %s", event, type(error).__name__)
