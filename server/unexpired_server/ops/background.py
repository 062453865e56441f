"""What goes on beside the requests: jobs that repeat, and never stop for one failure."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from unexpired_server.errors import Unavailable

logger: logging.Logger = logging.getLogger("unexpired.server")

Job = Callable[[], Awaitable[None]]


@asynccontextmanager
async def repeating(*jobs: tuple[float, Job]) -> AsyncIterator[None]:
    """Run jobs for as long as the context is open; one that is under way then is given up.

    Args:
        *jobs: The seconds between two runs, and what to run.
    """
    tasks = [asyncio.create_task(_repeat(seconds, job)) for seconds, job in jobs]
    try:
        yield
    finally:
        # Between two statements: the database finishes one that it has begun.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(seconds: float, job: Job) -> None:
    while True:
        try:
            await job()
        except Unavailable:
            logger.warning("the database does not answer; trying again in %s s", seconds)
        except Exception as exc:  # noqa: BLE001 - a job that died would not be missed in time
            log_fault(exc)
        await asyncio.sleep(seconds)


def log_fault(exc: Exception) -> None:
    """Log where we made a mistake: frames show our source, the message might hold a value."""
    frames = "".join(traceback.format_tb(exc.__traceback__))
    logger.error("unexpected %s\n%s", type(exc).__name__, frames)
