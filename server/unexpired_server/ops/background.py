"""Repeating background jobs, which continue after a failure."""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from unexpired_server.errors import Unavailable

JITTER = 0.1
"""The share by which a pause varies, so that processes that start together drift apart."""

logger: logging.Logger = logging.getLogger("unexpired.server")

Job = Callable[[], Awaitable[None]]


@asynccontextmanager
async def repeating(*jobs: tuple[float, Job]) -> AsyncIterator[None]:
    """Run jobs until the context ends; a job that is running then is cancelled.

    Args:
        *jobs: The seconds between two runs, and the function to run.
    """
    tasks = [asyncio.create_task(_repeat(seconds, job)) for seconds, job in jobs]
    try:
        yield
    finally:
        # The database finishes a statement that it has begun.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(seconds: float, job: Job) -> None:
    is_down = False
    while True:
        try:
            await job()
            is_down = False
        except Unavailable:
            if not is_down:
                logger.warning("the database is unavailable; trying again every %s s", seconds)
            is_down = True
        except Exception as exc:  # noqa: BLE001 - one failure must not end the job
            log_fault(exc)
        await asyncio.sleep(seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret


def log_fault(exc: Exception) -> None:
    """Log the frames of an exception, without its message: that may contain client data."""
    frames = "".join(traceback.format_tb(exc.__traceback__))
    logger.error("unexpected %s\n%s", type(exc).__name__, frames)
