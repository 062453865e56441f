"""Delivers links for forgotten passwords in the background, by a hook of the application.

A response must not take longer because there is a user to deliver to, and must not fail because a
mail server does.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from unexpired_server.sessions.user import User

TIMEOUT = 60.0
"""Seconds that a delivery may take."""

CLOSING = 10.0
"""Seconds that a stopping server waits for deliveries."""

MOST = 1000
"""How many may run at once; further ones are dropped, and logged."""

logger: logging.Logger = logging.getLogger("unexpired.server")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A link for a forgotten password, to be sent to the user it belongs to.

    Attributes:
        user: The user.
        token: What ``POST /api/password/reset`` takes; a secret. Send it only to an address that
            the user has confirmed, in the fragment of a URL, which no server logs.
        expires_in: How long the token can be used, in seconds.
    """

    user: User
    token: str = field(repr=False)
    expires_in: int


Deliver = Callable[[Delivery], Awaitable[None]]
"""Sends a delivery to its user, such as by e-mail."""


class Deliveries:
    """The deliveries that run.

    Args:
        deliver: Sends one.
    """

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, write: Callable[[], Delivery]) -> None:
        """Write a delivery and send it, both in the background."""
        if len(self._tasks) >= MOST:
            logger.error("A link for a forgotten password was dropped: too many are being sent.")
            return
        task = asyncio.create_task(self._send(write))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what is being sent, but not for long."""
        if not self._tasks:
            return
        _, unfinished = await asyncio.wait(self._tasks, timeout=CLOSING)
        for task in unfinished:
            task.cancel()

    async def _send(self, write: Callable[[], Delivery]) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._sending(write())
        except Exception as exc:  # noqa: BLE001 - whatever a mail library raises
            # Only its type: the message and the traceback may quote the mail, with the token.
            logger.error(  # noqa: TRY400
                "A link for a forgotten password could not be delivered: %s", type(exc).__name__
            )

    async def _sending(self, delivery: Delivery) -> None:
        sending: object = self._deliver(delivery)
        if inspect.isawaitable(sending):
            await sending
        else:  # It is sent, and everybody else has waited for it.
            logger.error("deliver= is not async: write async def, so that no request waits for it")
