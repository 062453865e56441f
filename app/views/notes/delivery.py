"""Delivers what waits on the device, in one tab at a time, until the server has it.

The work runs on events that suggest that the server can be reached again, and otherwise after a
growing back-off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import random
from typing import Any

from js import Date, clearTimeout, document, navigator, setTimeout, window
from pyodide.ffi import create_proxy

from unexpired import (
    AsyncClient,
    EventName,
    Response,
    Unreachable,
    backoff,
    parse_retry_after,
)
from unexpired.browser import open_lock
from views.ui.dom import listen, start_task
from views.ui.error_messages import SESSION_OVER

LOCK_TIMEOUT = 60.0  # s; longer than another tab needs for one request
RETRY_EVENTS: tuple[EventName, ...] = ("signed_in", "refreshed", "recovered")
RETRYABLE = {408, 425, 429}
CLIENT_ERROR, SERVER_ERROR = 400, 500


class Delivery:
    """Runs the work whenever some is due.

    Args:
        client: The client whose events are followed.
        lock_name: The name of the lock that the working tab holds.
        work: Sends what is due for the user with this id; raises what a request raises.
        is_due: Returns whether anything is due.
    """

    def __init__(
        self,
        client: AsyncClient,
        lock_name: str,
        work: Callable[[str], Awaitable[None]],
        is_due: Callable[[], bool],
    ) -> None:
        self._client = client
        self._lock = open_lock(lock_name)
        self._work = work
        self._is_due = is_due
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._timer: Any = 0
        self._flush_proxy = create_proxy(self.flush)

    @property
    def is_waiting(self) -> bool:
        """Whether the server could not be reached the last time, or there is no network."""
        return self._failures > 0 or not navigator.onLine

    def start(self) -> None:
        """Deliver now, and again on each event that suggests that it may work."""
        for event in RETRY_EVENTS:
            self._client.on(event, lambda *_: self.flush())
        listen(window, "online", lambda _: self.flush())
        listen(document, "visibilitychange", lambda _: self._on_visibility_change())
        self.flush()

    def flush(self, *_: object) -> None:
        """Deliver what is due, unless that is under way."""
        if self._task is None and self._is_due():
            self._task = start_task(self._deliver())

    async def finish(self, seconds: float) -> None:
        """Deliver what is due now, and wait for that within a limit of time."""
        self.flush()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)

    def flush_in(self, milliseconds: float) -> None:
        """Deliver after this time."""
        setTimeout(self._flush_proxy, milliseconds)

    async def _deliver(self) -> None:
        clearTimeout(self._timer)
        try:
            # One tab sends at a time. Without Web Locks, repeated requests are harmless.
            async with self._lock.hold(LOCK_TIMEOUT):
                await self._work(user_id_of(self._client))
            self._failures = 0
        except Unreachable as error:
            self._failures += 1
            wait = max(backoff(self._failures, random()), error.retry_after or 0)  # noqa: S311 - no secret
            self._timer = setTimeout(self._flush_proxy, wait * 1000)
        except SESSION_OVER:
            pass  # It stays on the device until its author signs in.
        finally:
            self._task = None

    def _on_visibility_change(self) -> None:
        if not document.hidden:
            self.flush()


def user_id_of(client: AsyncClient) -> str:
    """Return the id of the user who is signed in, or an empty text."""
    user = client.user
    return str(user.get("id", "")) if user else ""


def raise_if_unanswered(response: Response) -> None:
    """Raise an error unless the response is the server's last word on a request.

    Raises:
        Unreachable: If it came from a proxy or a captive portal, or the server is not available.
    """
    is_answer = response.is_success and "id" in response.fields
    is_refusal = (
        SERVER_ERROR > response.status_code >= CLIENT_ERROR
        and response.status_code not in RETRYABLE
    )
    if not is_answer and not is_refusal:
        raise Unreachable(retry_after=parse_retry_after(response, Date.now() / 1000))
