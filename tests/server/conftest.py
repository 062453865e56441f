"""Nodes for the server's tests."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.app import create_app
from server.settings import Settings
from tests.server.harness import HASHER, Clock, Node, StartNode, add_user


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the users ada and bob, to be copied: making one takes long."""
    file = tmp_path_factory.mktemp("template") / "test.sqlite3"
    settings = Settings(database_url=f"sqlite:///{file}")
    for username in ("ada", "bob"):
        asyncio.run(add_user(settings, username))
    return file


@pytest.fixture
def make_settings(tmp_path: Path, template: Path) -> Callable[..., Settings]:
    """Settings on fresh data files; the same files for every node of one test."""
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(template, data)

    def make(**changes: Any) -> Settings:
        defaults: dict[str, Any] = {
            "database_url": f"sqlite+aiosqlite:///{data}/test.sqlite3",
            "keys_file": data / "keys.json",
            "page_dir": tmp_path / "page",
        }
        return Settings(**{**defaults, **changes})

    return make


@pytest.fixture
async def start(make_settings: Callable[..., Settings], clock: Clock) -> AsyncIterator[StartNode]:
    """Start nodes over one database, which has the users ada and bob."""
    async with AsyncExitStack() as stack:

        async def start_node(**changes: Any) -> Node:
            settings = make_settings(**changes)
            app = create_app(settings, now=clock, hasher=HASHER)
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app)
            http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
            await stack.enter_async_context(http)
            return Node(app, settings, clock, http)

        yield start_node


@pytest.fixture
async def node(start: StartNode) -> Node:
    """One node with default settings."""
    return await start()
