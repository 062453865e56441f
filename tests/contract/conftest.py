"""The library with the server: in one process on a fake clock, or in two processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.app import create_app
from tests.server.harness import HASHER, PASSWORD, add_user
from tests.support.clock import FakeClock
from tests.support.provers import FakeProver
from tests.support.server_process import ServerProcess
from unexpired import AsyncClient, Headers, MemoryStore, Request, Response, Unreachable
from unexpired.session_record import loads
from unexpired.token_response import Tokens
from unexpired_server.settings import Settings

BASE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The server in a process of its own."""
    server = ServerProcess.with_users(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@dataclass
class ASGITransport:
    """The client's transport to an ASGI application; records the path of each request."""

    http: httpx.AsyncClient
    paths: list[str] = field(default_factory=list)
    is_offline: bool = False

    async def send(self, request: Request) -> Response:
        if self.is_offline:
            raise Unreachable
        self.paths.append(request.url.removeprefix(BASE))
        assert request.body is None or isinstance(request.body, bytes)
        response = await self.http.request(
            request.method, request.url, headers=dict(request.headers), content=request.body
        )
        return Response(response.status_code, Headers(dict(response.headers)), response.content)


@dataclass
class SkewedClock:
    """The clock of a device, which differs from the server's by ``skew`` seconds."""

    server: FakeClock
    skew: float

    def now(self) -> float:
        return self.server.now() + self.skew

    def monotonic(self) -> float:
        return self.server.monotonic()

    def sleep(self, seconds: float) -> None:
        self.server.sleep(seconds)


@dataclass
class Device:
    """A device on which ada is signed in: a client, its transport to the server, its clock."""

    clock: FakeClock
    transport: ASGITransport
    skew: float = 0.0
    store: MemoryStore = field(default_factory=MemoryStore)
    prover: FakeProver | None = None
    client: AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.open_page()

    def open_page(self) -> AsyncClient:
        """Open another page on the same storage; the two have no common lock."""
        clock = SkewedClock(self.clock, self.skew)
        return AsyncClient(
            self.transport, store=self.store, clock=clock, prover=self.prover, base_url=BASE
        )

    def tokens(self) -> Tokens:
        """Return the tokens that the device stores."""
        text = self.store.load()
        assert text is not None
        return loads(text).tokens

    def refreshes(self) -> int:
        return self.transport.paths.count("/api/refresh")


def settings_in(folder: Path, **changes: Any) -> Settings:
    """Return the settings of a server whose data are in this folder."""
    return Settings(
        database_url=f"sqlite+aiosqlite:///{folder}/data/contract.sqlite3",
        keys_file=folder / "data" / "keys.json",
        **changes,
    )


@asynccontextmanager
async def restarted(device: Device, folder: Path, **changes: Any) -> AsyncIterator[None]:
    """Serve a device by a server with other settings, on the data of the one before."""
    app = create_app(settings_in(folder, **changes), now=device.clock, hasher=HASHER)
    async with app.router.lifespan_context(app):
        device.transport.http = httpx.AsyncClient(transport=httpx.ASGITransport(app))
        async with device.transport.http:
            yield


StartDevice = Callable[..., Awaitable[Device]]


@pytest.fixture
async def start_device(tmp_path: Path) -> AsyncIterator[StartDevice]:
    """Start a server with these settings, and a device on which ada is signed in."""
    async with AsyncExitStack() as stack:

        async def start(
            *, skew: float = 0.0, prover: FakeProver | None = None, **changes: Any
        ) -> Device:
            clock = FakeClock()
            settings = settings_in(tmp_path, **changes)
            app = create_app(settings, now=clock, hasher=HASHER)
            await stack.enter_async_context(app.router.lifespan_context(app))
            await add_user(settings, "ada")
            http = httpx.AsyncClient(transport=httpx.ASGITransport(app))
            await stack.enter_async_context(http)
            device = Device(clock, ASGITransport(http), skew, prover=prover)
            await device.client.sign_in("ada", PASSWORD)
            device.transport.paths.clear()
            return device

        yield start
