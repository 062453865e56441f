"""A service beside the server, such as Redis, that may fail and must not fail requests.

One that does not answer is not asked again until a probe in the background has succeeded, so an
outage delays only the requests that wait when it begins, each of them once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

TIMEOUT = 1.0
"""Seconds that an answer may take."""

PROBE_INTERVAL = 5.0
"""Seconds between two attempts to reach a service that does not answer."""

logger: logging.Logger = logging.getLogger("unexpired.server")


class Probed(Protocol):
    """A service that may fail."""

    async def probe(self) -> None:
        """Write something, because a read-only replica answers everything else."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


ServiceT = TypeVar("ServiceT", bound=Probed)
Answer = TypeVar("Answer")


class Breaker(Generic[ServiceT]):
    """A service that is not asked while it does not answer.

    Args:
        service: The service.
        name: For the log.
        meanwhile: What happens while it does not answer, for the log.

    Attributes:
        is_open: Whether the service does not answer at the moment.
    """

    def __init__(self, service: ServiceT, name: str, meanwhile: str) -> None:
        self._service = service
        self._name = name
        self._meanwhile = meanwhile
        self._probe: asyncio.Task[None] | None = None
        self.is_open: bool = False

    async def ask(self, question: Callable[[ServiceT], Awaitable[Answer]]) -> Answer | None:
        """Return the service's answer, or None when there is none."""
        if self.is_open:
            return None
        try:
            async with asyncio.timeout(TIMEOUT):
                return await question(self._service)
        except Exception as exc:  # noqa: BLE001 - whatever it is, requests must not fail by it
            self._open(exc)
            return None

    async def close(self) -> None:
        """Stop probing, and close the service's connections."""
        if self._probe:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)
        with suppress(Exception):
            async with asyncio.timeout(TIMEOUT):
                await self._service.close()

    def _open(self, exc: Exception) -> None:
        if self.is_open:  # Many requests can wait when it begins.
            return
        self.is_open = True
        cause = type(exc).__name__
        logger.warning("%s is unavailable (%s): %s", self._name, cause, self._meanwhile)
        self._probe = asyncio.create_task(self._probe_until_it_answers())

    async def _probe_until_it_answers(self) -> None:
        while self.is_open:
            await asyncio.sleep(PROBE_INTERVAL)
            with suppress(Exception):
                async with asyncio.timeout(TIMEOUT):
                    await self._service.probe()
                    self.is_open = False
        logger.info("%s is available again", self._name)
