"""A session that ended stays ended, although the database lost that or did not answer."""

from typing import Any

import pytest

from tests.server.harness import StartServer, TestServer
from tests.server.stores import rows
from unexpired_server.errors import Unavailable
from unexpired_server.service import Service
from unexpired_server.sessions.revocations import OVERLAP, SETTLING
from unexpired_server.storage.database import Database

STORES = ("sqlite", "postgres")
LIVE_AGAIN = "UPDATE sessions SET revoked_at = NULL"


def service_of(node: TestServer) -> Service:
    found: Service = node.app.state.service
    return found


async def sign_out(node: TestServer, tokens: dict[str, Any]) -> int:
    body = {"refreshToken": tokens["refreshToken"]}
    return (await node.http.post("/api/logout", json=body)).status_code


async def codes(node: TestServer, tokens: dict[str, Any]) -> list[str]:
    me, refresh = await node.me(tokens["accessToken"]), await node.refresh(tokens["refreshToken"])
    return [me.json()["code"], refresh.json()["code"]]


async def live(node: TestServer) -> int:
    query = "SELECT count(*) FROM sessions WHERE revoked_at IS NULL"
    return int((await rows(node.settings.database_url, query))[0][0])


async def test_a_restored_database_does_not_bring_a_session_back(node: TestServer) -> None:
    tokens = await node.sign_in()
    assert await sign_out(node, tokens) == 204
    await rows(node.settings.database_url, LIVE_AGAIN)
    # At once, before anybody has noticed:
    assert await codes(node, tokens) == ["SESSION_REVOKED"] * 2
    await service_of(node).sessions.follow()
    node.clock.advance(SETTLING + 1)
    await service_of(node).sessions.follow()
    assert await live(node) == 0
    assert await rows(
        node.settings.database_url, "SELECT cause FROM events WHERE kind = 'session_revoked'"
    ) == [("sign_out",), ("lost",)]


async def test_what_another_node_revoked_is_brought_back_too(start: StartServer) -> None:
    here, there = await start(), await start()
    tokens = await here.sign_in()
    assert await sign_out(here, tokens) == 204
    await service_of(there).sessions.follow()
    await rows(here.settings.database_url, LIVE_AGAIN)
    here.clock.advance(SETTLING + 1)
    await service_of(there).sessions.follow()
    assert await live(here) == 0


async def test_an_older_loss_is_found_once_a_client_is_ahead_of_the_database(
    node: TestServer,
) -> None:
    ended, other = await node.sign_in(), await node.sign_in()
    assert await sign_out(node, ended) == 204
    ahead = await node.refreshed(other["refreshToken"])
    for _ in range(3):
        node.clock.advance(OVERLAP)
        await service_of(node).sessions.follow()
    await rows(node.settings.database_url, f"{LIVE_AGAIN}, counter = 0")
    await service_of(node).sessions.follow()
    await node.refreshed(ahead["refreshToken"])
    await service_of(node).sessions.follow()
    assert await live(node) == 1
    assert await codes(node, ended) == ["SESSION_REVOKED"] * 2


async def test_a_sign_out_during_an_outage_is_done_afterwards(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = await node.sign_in()

    async def unavailable(_database: Database, _start: object) -> Any:
        raise Unavailable

    with monkeypatch.context() as outage:
        outage.setattr(Database, "_with_timeout", unavailable)
        assert await sign_out(node, tokens) == 503
        with pytest.raises(Unavailable):
            await service_of(node).sessions.follow()
    assert await live(node) == 1
    await service_of(node).sessions.follow()
    assert await live(node) == 0
    assert await codes(node, tokens) == ["SESSION_REVOKED"] * 2


async def test_a_sign_out_of_what_had_ended_is_not_looked_for(node: TestServer) -> None:
    tokens = await node.sign_in()
    for _ in range(2):
        assert await sign_out(node, tokens) == 204
    await rows(node.settings.database_url, "DELETE FROM sessions")
    gone = await node.sign_in()
    await rows(node.settings.database_url, "DELETE FROM sessions")
    assert await sign_out(node, gone) == 204
    node.clock.advance(SETTLING + 1)
    revocations = service_of(node).revocations
    assert len(revocations) == 2
    lost = await revocations.poll()
    assert len(lost) == 1  # The one that the database had; the other it never confirmed.


async def test_a_clock_that_goes_back_hides_no_revocation(start: StartServer) -> None:
    here, there = await start(), await start()
    tokens = await here.sign_in()
    await service_of(there).sessions.follow()
    here.clock.advance(-1200)  # A replica whose clock is behind has taken over.
    assert await sign_out(here, tokens) == 204
    await service_of(there).sessions.follow()
    assert len(service_of(there).revocations) == 1
