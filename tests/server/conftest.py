"""Fixtures: servers on fresh data."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from server.app import create_app
from tests.server.harness import HASHER, StartServer, TestServer
from tests.server.stores import DEFAULT_STORE, Postgres, fill
from tests.support.clock import FakeClock
from tests.support.proof_maker import ProofMaker
from tests.support.proxy import TCPProxy
from tests.support.redis_server import RedisServer
from tests.support.server_process import ServerProcess, StartProcess
from unexpired_server.ops import counters
from unexpired_server.sessions.sessions import Sessions
from unexpired_server.sessions.users import Account
from unexpired_server.settings import Settings


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def limits_clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock of the limits that no Redis counts.

    By the real one, a minute that ends during a test lets one more through.
    """
    clock = FakeClock()
    monkeypatch.setattr(counters, "time", SimpleNamespace(time=clock))
    return clock


@pytest.fixture
def maker(clock: FakeClock) -> ProofMaker:
    return ProofMaker(clock)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module's tests on each store in its STORES, or else on the default store."""
    if "store" in metafunc.fixturenames:
        kinds = getattr(metafunc.module, "STORES", (DEFAULT_STORE,))
        metafunc.parametrize("store", kinds, indirect=True)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the users ada and bob; tests copy it, because creating one is slow."""
    file = tmp_path_factory.mktemp("template") / "test.sqlite3"
    asyncio.run(fill(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL database with the users ada and bob."""
    if trouble := Postgres.trouble():
        pytest.skip(trouble)
    database = Postgres()
    database.create()
    yield database
    database.drop()


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh database; the same for every node of a test."""
    if request.param == "postgres":
        database: Postgres = request.getfixturevalue("postgres")
        asyncio.run(database.empty())
        return database.address
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(request.getfixturevalue("template"), data)
    return f"sqlite+aiosqlite:///{data}/test.sqlite3"


@pytest.fixture
async def proxy(store: str) -> AsyncIterator[TCPProxy]:
    """A proxy in front of the database, which a test may cut or stall."""
    between = TCPProxy(store)
    await between.open()
    yield between
    between.resume()
    between.cut()


@pytest.fixture
def make_settings(tmp_path: Path, store: str) -> Callable[..., Settings]:
    """Settings on fresh data; the same data for every node of a test."""

    def make(**changes: Any) -> Settings:
        defaults: dict[str, Any] = {
            "database_url": store,
            "keys_file": tmp_path / "data" / "keys.json",
            "page_dir": tmp_path / "page",
        }
        return Settings(**{**defaults, **changes})

    return make


@pytest.fixture
async def start(
    make_settings: Callable[..., Settings], clock: FakeClock
) -> AsyncIterator[StartServer]:
    """Start nodes on one database with the users ada and bob."""
    async with AsyncExitStack() as stack:

        async def start_node(**changes: Any) -> TestServer:
            settings = make_settings(**changes)
            app = create_app(settings, now=clock, hasher=HASHER)
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app)
            http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
            await stack.enter_async_context(http)
            return TestServer(app, settings, clock, http)

        yield start_node


@pytest.fixture
async def node(start: StartServer) -> TestServer:
    """One node with default settings."""
    return await start()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[StartProcess]:
    """Serve on a free port, and stop the process after the test."""
    started: list[ServerProcess] = []

    def start(*args: str, **environment: str) -> ServerProcess:
        process = ServerProcess(tmp_path, *args, **environment)
        started.append(process.start())
        return process

    yield start
    for process in started:
        if process.child.poll() is None:
            process.stop()


@pytest.fixture
def sessions(node: TestServer) -> Sessions:
    found: Sessions = node.app.state.service.sessions
    return found


@pytest.fixture
async def ada(node: TestServer) -> Account:
    found: Account | None = await node.app.state.service.users.find("ada")
    assert found is not None
    return found


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    if not RedisServer.is_installed():
        pytest.skip("no redis-server")
    server = RedisServer(tmp_path).start()
    yield server
    server.stop()
