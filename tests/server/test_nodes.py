"""Two nodes on one PostgreSQL, which restarts or hangs under load."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.server.harness import StartServer, TestServer, bearer
from tests.server.stores import Postgres, rows
from tests.support.proxy import TCPProxy
from unexpired_server.service import Service
from unexpired_server.storage import database

STORES = ("postgres",)


async def sessions_of(node: TestServer, number: int) -> list[dict[str, Any]]:
    return [await node.sign_in() for _ in range(number)]


async def refresh_each(nodes: list[TestServer], tokens: list[str]) -> list[httpx.Response]:
    asked = (nodes[i % len(nodes)].refresh(token) for i, token in enumerate(tokens))
    return list(await asyncio.gather(*asked))


async def assert_all_alive(nodes: list[TestServer], tokens: list[str]) -> None:
    responses = await refresh_each(nodes, tokens)
    assert [response.status_code for response in responses] == [200] * len(tokens)


def unanswered(responses: list[httpx.Response]) -> int:
    """Return how many got 503; every other one succeeded."""
    for response in responses:
        assert response.status_code in {200, 503}, response.text
        if response.status_code == 503:
            assert response.json()["code"] == "UNAVAILABLE"
            assert int(response.headers["retry-after"]) >= 1
    return sum(response.status_code == 503 for response in responses)


@pytest.mark.parametrize("how", ["cut", "terminated"])
async def test_a_database_that_restarts_under_load_costs_no_session(
    start: StartServer, proxy: TCPProxy, store: str, how: str
) -> None:
    nodes = [await start(database_url=proxy.url) for _ in range(2)]
    tokens = [one["refreshToken"] for one in await sessions_of(nodes[0], 20)]
    access = (await nodes[0].sign_in())["accessToken"]
    assert (await nodes[0].me(access)).status_code == 200
    under_load = asyncio.ensure_future(refresh_each(nodes, tokens))
    await asyncio.sleep(0)
    proxy.cut()
    if how == "terminated":
        await rows(
            store,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
    assert unanswered(await under_load) > 0
    down = await refresh_each(nodes, tokens)
    assert unanswered(down) == len(tokens)
    assert (await nodes[0].http.get("/readyz")).status_code == 503
    assert (await nodes[0].me(access)).status_code == 200
    assert (await nodes[0].http.get("/healthz")).status_code == 200
    await proxy.open()
    await assert_all_alive(nodes, tokens)
    async with asyncio.timeout(5):
        while (await nodes[0].http.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)  # Probes share a result for a second.


async def test_a_database_that_hangs_times_out_and_costs_no_session(
    start: StartServer, proxy: TCPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "TIMEOUT_SECONDS", 2)  # The driver reads it, too.
    nodes = [await start(database_url=proxy.url) for _ in range(2)]
    monkeypatch.setattr(database, "TIMEOUT_SECONDS", 5)
    tokens = [one["refreshToken"] for one in await sessions_of(nodes[0], 20)]
    await assert_all_alive(nodes, tokens)
    monkeypatch.setattr(database, "TIMEOUT_SECONDS", 0.5)
    proxy.pause()
    async with asyncio.timeout(5):
        stalled = await refresh_each(nodes, tokens)
    assert unanswered(stalled) == len(tokens)
    proxy.resume()
    monkeypatch.setattr(database, "TIMEOUT_SECONDS", 5)
    async with asyncio.timeout(20):
        while unanswered(await refresh_each(nodes, tokens)):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("change", ["disable", "set_password"])
async def test_a_sign_in_during_a_disabling_or_a_new_password_leaves_no_live_session(
    start: StartServer, store: str, change: str
) -> None:
    nodes = [await start(login_limit="") for _ in range(2)]
    away: Service = nodes[1].app.state.service
    ada = await away.users.find("ada")
    assert ada is not None
    changes = {
        "disable": lambda: away.sessions.disable(ada),
        "set_password": lambda: away.sessions.set_password(ada, "new"),
    }
    alive = "SELECT count(*) FROM sessions WHERE revoked_at IS NULL"
    reset = f"UPDATE users SET disabled_at = NULL, password_hash = '{ada.password_hash}'"  # noqa: S608
    for _ in range(10):
        tries = [nodes[0].login() for _ in range(4)]
        await asyncio.gather(*tries, changes[change]())
        assert await rows(store, alive) == [(0,)]
        await rows(store, reset)


async def test_two_nodes_share_sessions_revocations_and_the_list(
    start: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unexpired_server.service.POLL_INTERVAL", 0.01)
    here, there = await start(), await start()
    tokens = await here.sign_in()
    renewed = await there.refreshed(tokens["refreshToken"])
    assert await here.refreshed(tokens["refreshToken"]) | renewed
    headers = bearer(renewed["accessToken"])
    (listed,) = (await there.http.get("/api/sessions", headers=headers)).json()["sessions"]
    assert (await there.http.delete(f"/api/sessions/{listed['id']}", headers=headers)).is_success
    async with asyncio.timeout(5):
        while (await here.me(renewed["accessToken"])).status_code == 200:
            await asyncio.sleep(0)
    assert (await here.me(renewed["accessToken"])).json()["code"] == "SESSION_REVOKED"
    assert (await here.refresh(renewed["refreshToken"])).json()["code"] == "SESSION_REVOKED"


async def test_a_database_that_refuses_connections_is_unavailable_and_costs_no_session(
    start: StartServer, postgres: Postgres
) -> None:
    node = await start()
    tokens = [one["refreshToken"] for one in await sessions_of(node, 5)]
    connected = f"FROM pg_stat_activity WHERE datname = '{postgres.name}'"
    try:
        await postgres.admin("ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await postgres.admin(f"SELECT pg_terminate_backend(pid) {connected}")
        assert unanswered(await refresh_each([node], tokens)) == len(tokens)
    finally:
        await postgres.admin("ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await assert_all_alive([node], tokens)
