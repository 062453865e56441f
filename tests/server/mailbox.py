"""Where a server's links for forgotten passwords arrive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.server.harness import HASHER, TestServer
from tests.support.clock import FakeClock
from unexpired_server import Delivery, Service, Settings, build_app


class Mailbox:
    """A delivery hook that keeps what it is given.

    Attributes:
        failure: Raised by the next deliveries, once it is set.
    """

    def __init__(self) -> None:
        self._letters: asyncio.Queue[Delivery] = asyncio.Queue()
        self.failure: Exception | None = None

    async def deliver(self, delivery: Delivery) -> None:
        """Keep a delivery."""
        self._letters.put_nowait(delivery)
        if self.failure is not None:
            raise self.failure

    async def next(self) -> Delivery:
        """Wait for the next delivery."""
        async with asyncio.timeout(5):
            return await self._letters.get()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is waiting to be read."""
        return self._letters.empty()


@asynccontextmanager
async def node_with_mail(
    settings: Settings, clock: FakeClock, mailbox: Mailbox
) -> AsyncIterator[TestServer]:
    """Run a node whose links for forgotten passwords go to a mailbox."""
    service = Service(settings, now=clock, hasher=HASHER, deliver=mailbox.deliver)
    app = build_app(service)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        yield TestServer(app, settings, clock, http)
