"""The address that a session was last used from, on both stores."""

from typing import Any

import httpx
import pytest

from tests.server.harness import StartServer, TestServer, bearer
from tests.server.stores import rows
from tests.support.clock import START
from unexpired_server.service import policy_of
from unexpired_server.sessions.refresh_tokens import RefreshTokenClaims
from unexpired_server.sessions.rules import SessionPolicy
from unexpired_server.sessions.store import Store
from unexpired_server.sessions.users import Users
from unexpired_server.storage.database import Database

STORES = ("sqlite", "postgres")
HOME, CAFE, PROXY = "192.0.2.7", "2001:db8::7", "10.1.2.3"


def at(node: TestServer, address: str, **headers: str) -> TestServer:
    """The same server, called from another address."""
    transport = httpx.ASGITransport(node.app, client=(address, 9))
    http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)
    return TestServer(node.app, node.settings, node.clock, http)


async def address(node: TestServer, tokens: dict[str, Any]) -> str | None:
    """The caller's own entry in the list of sessions."""
    response = await node.http.get("/api/sessions", headers=bearer(tokens["accessToken"]))
    (listed,) = [one["address"] for one in response.json()["sessions"] if one["current"]]
    return str(listed) if listed is not None else None


async def test_a_session_is_listed_with_where_it_was_last_used(node: TestServer) -> None:
    """Sign-in stores the address, a refresh from another one replaces it, other calls do not."""
    tokens = await at(node, HOME).sign_in()
    assert await address(node, tokens) == HOME
    tokens = await at(node, CAFE).refreshed(tokens["refreshToken"])
    assert await address(at(node, HOME), tokens) == CAFE


async def test_only_a_successful_refresh_changes_the_address(node: TestServer) -> None:
    """A repeat within the grace and a reused token change nothing that the owner sees."""
    used = (await at(node, HOME).sign_in())["refreshToken"]
    tokens = await at(node, HOME).refreshed(used)
    await at(node, CAFE).refreshed(used)
    assert await address(node, tokens) == HOME
    node.clock.advance(60)
    assert (await at(node, CAFE).refresh(used)).json()["code"] == "REFRESH_REUSED"
    assert await rows(node.settings.database_url, "SELECT address FROM sessions") == [(HOME,)]


async def test_each_session_has_its_own_address(node: TestServer) -> None:
    """A changed address of one session changes no other session."""
    stays, moves = await at(node, HOME).sign_in(), await at(node, HOME).sign_in()
    moved = await at(node, CAFE).refreshed(moves["refreshToken"])
    assert await address(node, stays) == HOME
    assert await address(node, moved) == CAFE


@pytest.mark.parametrize(("proxies", "expected"), [(PROXY, HOME), ("", PROXY)])
async def test_the_address_is_the_clients_where_the_proxy_is_trusted(
    start: StartServer, proxies: str, expected: str
) -> None:
    """Behind a trusted proxy it is the forwarded address, otherwise the connection's own."""
    node = await start(trusted_proxies=proxies)
    tokens = await at(node, PROXY, **{"X-Forwarded-For": HOME}).sign_in()
    assert await address(node, tokens) == expected


async def test_a_forwarded_address_may_be_anything_of_any_length(start: StartServer) -> None:
    """Overlong text is cut, and never causes a database error."""
    node = await start(trusted_proxies=PROXY)
    tokens = await at(node, PROXY, **{"X-Forwarded-For": "x" * 5000}).sign_in()
    assert await address(node, tokens) == "x" * 64


async def test_without_rotation_the_address_changes_too(start: StartServer) -> None:
    """A refresh that keeps the refresh token stores the address as well."""
    node = await start(rotation=False)
    tokens = await at(node, HOME).sign_in()
    await at(node, CAFE).refreshed(tokens["refreshToken"])
    assert await address(node, tokens) == CAFE


async def test_an_unknown_address_is_null(node: TestServer) -> None:
    """Sign-in and refresh work without the client's address."""
    database = Database(node.settings.database_url)
    policy: SessionPolicy = policy_of(node.settings)
    ada = await Users(database).find("ada")
    assert ada
    store = Store(database, policy)
    session = await store.open_session(ada, "a script", START)
    assert session
    await store.refresh(RefreshTokenClaims(session.id, session.counter), START + 60)
    assert [device.address for device in await store.live(START + 60)] == [None]
    await database.close()
