"""A blocking transport for a client that awaits."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from unexpired.messages import Request, Response

if TYPE_CHECKING:
    from unexpired.ports import SyncTransport, Transport

TIMEOUT = 60.0  # s. The caller gives up earlier; by then the thread must end by itself.
THREADS = 64  # Slow requests could occupy asyncio's few default threads, and block a refresh.


class ThreadedTransport:
    """Sends requests in threads.

    Args:
        transport: Sends a request, and blocks.
    """

    def __init__(self, transport: SyncTransport) -> None:
        self._transport = transport
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="unexpired")

    async def send(self, request: Request) -> Response:
        """Send the request; see ``Transport``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._transport.send, request, TIMEOUT)


if TYPE_CHECKING:
    _: type[Transport] = ThreadedTransport
