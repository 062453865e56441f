"""What those who know httpx expect of a client, of both kinds."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.fake_server import API, AsyncFakeServer, FakeServer, SyncFakeServer
from unexpired import AsyncClient, Client, Request

KINDS: dict[type[AsyncClient | Client], Callable[[FakeClock], FakeServer]] = {
    AsyncClient: AsyncFakeServer,
    Client: SyncFakeServer,
}


async def result(value: Any) -> Any:
    """Return what a method of either client returns."""
    return await value if inspect.isawaitable(value) else value


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[AsyncClient | Client]:
    """Return one of the two clients."""
    found: type[AsyncClient | Client] = request.param
    return found


@pytest.fixture
def server(kind: type[AsyncClient | Client]) -> FakeServer:
    """Return a server in memory for this kind of client."""
    return KINDS[kind](FakeClock())


Open = Callable[..., Any]


@pytest.fixture
def open_client(kind: type[AsyncClient | Client], server: FakeServer) -> Open:
    """Return a function that opens a client with these options, and signs in."""

    async def open_client(**options: Any) -> Any:
        client: Any = kind(server, clock=server.clock, **{"base_url": API, **options})  # type: ignore[arg-type]
        await result(client.sign_in("ada", "pw"))
        server.received.clear()
        return client

    return open_client


async def test_a_response_has_the_callers_request_without_the_token(
    open_client: Open, server: FakeServer
) -> None:
    client = await open_client()
    response = await result(client.get("/api/notes", params={"a": 1}, headers={"X-A": "b"}))
    assert "authorization" in server.received[0].headers
    assert isinstance(response.request, Request)
    assert (response.request.method, response.request.url) == ("GET", f"{API}/api/notes?a=1")
    assert dict(response.request.headers) == {"x-a": "b"}
