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
from unexpired_server.settings import SettingsError, load_settings
from unexpired_server.storage.database import Database

STORES = ("sqlite", "postgres")
HOME, CAFE, PROXY = "192.0.2.7", "2001:db8::7", "10.1.2.3"


def at(node: TestServer, address: str, *several: tuple[str, str], **headers: str) -> TestServer:
    """The same server, called from another address."""
    transport = httpx.ASGITransport(node.app, client=(address, 9))
    http = httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers=[*several, *headers.items()]
    )
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


@pytest.mark.parametrize(
    ("peer", "header", "expected"),
    [
        (f"::ffff:{PROXY}", HOME, HOME),
        (PROXY, f"::ffff:{HOME}", HOME),
        (PROXY, f"::ffff:{HOME}, ::ffff:{PROXY}", HOME),
        (PROXY, f"{HOME}:51234", HOME),
        (PROXY, f"[{CAFE}]:51234, {PROXY}:80", CAFE),
        (PROXY, f"[{CAFE}]", CAFE),
        (PROXY, "fe80::7%eth0", "fe80::7"),
        (PROXY, "64:ff9b::192.0.2.7", HOME),
        (PROXY, f"{CAFE}, {HOME}", HOME),
        (PROXY, PROXY, PROXY),
        (PROXY, "", PROXY),
        (PROXY, f"{HOME}, unknown", PROXY),
        (PROXY, f"{HOME}, \x1b[31m", PROXY),
        (PROXY, "unix:", PROXY),
        pytest.param(PROXY, "x" * 5000, PROXY, id="long"),
        (f"::ffff:{HOME}", CAFE, HOME),
        ("", HOME, HOME),
        ("testclient", HOME, "testclient"),
    ],
)
async def test_each_client_has_one_address_however_it_is_written(
    start: StartServer, peer: str, header: str, expected: str
) -> None:
    """Text that is no address is never an address, and ends the chain of proxies."""
    node = await start(trusted_proxies=f"{PROXY}, unix:")
    tokens = await at(node, peer, **{"X-Forwarded-For": header}).sign_in()
    assert await address(node, tokens) == expected


async def test_entries_of_several_headers_are_one_chain(start: StartServer) -> None:
    """A second header, as some proxies add it, follows the first."""
    node = await start(trusted_proxies=f"{PROXY}, ::1")
    headers = [("x-forwarded-for", CAFE), ("x-forwarded-for", f"{HOME}, ::1")]
    tokens = await at(node, PROXY, *headers).sign_in()
    assert await address(node, tokens) == HOME


@pytest.mark.parametrize("proxies", ["::ffff:10.0.0.0/104", "::ffff:10.1.2.3", "10.0.0.0/8"])
async def test_a_network_of_proxies_is_the_same_in_ipv4_and_in_ipv6(
    start: StartServer, proxies: str
) -> None:
    """A node that listens on ``::`` sees IPv4 proxies as IPv6."""
    node = await start(trusted_proxies=proxies)
    for peer in (PROXY, f"::ffff:{PROXY}"):
        tokens = await at(node, peer, **{"X-Forwarded-For": HOME}).sign_in()
        assert await address(node, tokens) == HOME


@pytest.mark.parametrize("proxies", ["localhost", "10.0.0.1/8", "*", "10.0.0", "127.0.0.1:80"])
def test_a_proxy_that_is_no_address_is_one_sentence(proxies: str) -> None:
    """Such a proxy was never trusted, and nothing said so."""
    with pytest.raises(SettingsError, match=r"Setting trusted_proxies: must be IP addresses or"):
        load_settings(trusted_proxies=f"127.0.0.1, {proxies}")


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
