"""Nodes for the server's tests."""

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


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings on fresh data files; the same files for every node of one test."""

    def make(**changes: Any) -> Settings:
        defaults: dict[str, Any] = {
            "database_url": f"sqlite+aiosqlite:///{tmp_path}/data/test.sqlite3",
            "keys_file": tmp_path / "data" / "keys.json",
            "page_dir": tmp_path / "page",
        }
        return Settings(**{**defaults, **changes})

    return make


@pytest.fixture
async def start(make_settings: Callable[..., Settings], clock: Clock) -> AsyncIterator[StartNode]:
    """Start nodes over one database; the first one adds the users ada and bob."""
    async with AsyncExitStack() as stack:
        nodes: list[Node] = []

        async def start_node(**changes: Any) -> Node:
            settings = make_settings(**changes)
            app = create_app(settings, now=clock, hasher=HASHER)
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app)
            http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
            await stack.enter_async_context(http)
            if not nodes:
                await add_user(settings, "ada")
                await add_user(settings, "bob")
            nodes.append(Node(app, settings, clock, http))
            return nodes[-1]

        yield start_node


@pytest.fixture
async def node(start: StartNode) -> Node:
    """One node with default settings."""
    return await start()
