"""Rate limits: per account, per address, behind proxies, and on several nodes."""

import asyncio
import socket
import uuid
from typing import Any

import httpx
import pytest

from tests.server.harness import StartServer, TestServer
from unexpired_server.http.rate_limits import address_key
from unexpired_server.settings import SettingsError, load_settings

REDIS = "redis://127.0.0.1:6379/0"


async def login(
    node: TestServer,
    address: str,
    username: str = "ada",
    password: str = "wrong",  # noqa: S107
) -> Any:
    """Sign in from an address, as the application sees it."""
    transport = httpx.ASGITransport(node.app, client=(address, 9))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        body = {"username": username, "password": password}
        return await http.post("/api/login", json=body)


def assert_limited(response: httpx.Response) -> None:
    assert (response.status_code, response.json()["code"]) == (429, "RATE_LIMITED")
    assert 1 <= int(response.headers["retry-after"]) <= 300


async def test_ten_failures_on_an_account_block_it_for_every_address(node: TestServer) -> None:
    for i in range(10):
        assert (await login(node, f"192.0.2.{i}")).status_code == 401
    assert_limited(await login(node, "192.0.2.99"))
    # Not even the correct password gets another response now.
    assert_limited(await login(node, "192.0.2.99", password="correct horse"))
    assert (await login(node, "192.0.2.1", "bob", "correct horse")).status_code == 200


@pytest.mark.parametrize("networks", [("192.0.2.1",), ("2001:db8::1", "2001:db8::ffff:2")])
async def test_ten_failures_from_an_address_block_it_for_every_account(
    node: TestServer, networks: tuple[str, ...]
) -> None:
    for i in range(10):
        assert (await login(node, networks[i % len(networks)], f"user{i}")).status_code == 401
    assert_limited(await login(node, networks[0], "bob", "correct horse"))
    assert (await login(node, "198.51.100.7", "bob", "correct horse")).status_code == 200


async def test_usernames_that_look_the_same_are_one_account(node: TestServer) -> None:
    for i in range(10):
        await login(node, f"192.0.2.{i}", "Zo\u00eb" if i % 2 else "Zoe\u0308")
    assert_limited(await login(node, "192.0.2.99", "Zo\u00eb"))


async def test_successful_sign_ins_are_not_counted(node: TestServer) -> None:
    for _ in range(30):
        assert (await login(node, "192.0.2.1", password="correct horse")).status_code == 200


async def test_guesses_at_once_reveal_no_more_than_ten_in_a_row(start: StartServer) -> None:
    node = await start()
    tries = [login(node, "192.0.2.1") for _ in range(30)]
    responses = await asyncio.gather(*tries, login(node, "192.0.2.1", password="correct horse"))
    statuses = [response.status_code for response in responses]
    assert statuses.count(401) == 10
    assert set(statuses[:30]) == {401, 429}
    # The correct guess came last, after the limit was reached.
    assert statuses[30] == 429


async def test_a_limit_ends_and_an_empty_one_is_no_limit(start: StartServer) -> None:
    node = await start(login_limit="1 per second")
    assert (await login(node, "192.0.2.1")).status_code == 401
    assert_limited(await login(node, "192.0.2.1"))
    async with asyncio.timeout(5):
        while (await login(node, "192.0.2.1", password="correct horse")).status_code != 200:
            await asyncio.sleep(0.05)
    free = await start(login_limit="")
    assert {(await login(free, "192.0.2.1")).status_code for _ in range(20)} == {401}


async def forwarded(node: TestServer, peer: str, header: str) -> list[int]:
    """Fail on eleven accounts, each time with another forwarded address."""
    transport = httpx.ASGITransport(node.app, client=(peer, 9))
    statuses = []
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        for i in range(11):
            body = {"username": f"user{i}", "password": "wrong"}
            headers = {"X-Forwarded-For": header.format(i=i)}
            statuses.append((await http.post("/api/login", json=body, headers=headers)).status_code)
    return statuses


async def test_x_forwarded_for_is_used_only_from_trusted_proxies(start: StartServer) -> None:
    trusting = await start(trusted_proxies="10.0.0.0/8")
    assert set(await forwarded(trusting, "10.1.2.3", "192.0.2.{i}")) == {401}
    # Entries before the proxy's own come from the client, who may send anything.
    assert (await forwarded(trusting, "10.1.2.3", "192.0.2.{i}, 198.51.100.7"))[-1] == 429
    assert (await forwarded(trusting, "203.0.113.9", "192.0.2.{i}"))[-1] == 429
    wary = await start()
    assert (await forwarded(wary, "10.1.2.3", "192.0.2.{i}"))[-1] == 429


async def test_only_refused_and_too_frequent_refreshes_are_limited(
    start: StartServer,
) -> None:
    node = await start(refresh_limit="5 per minute")
    token = (await node.sign_in())["refreshToken"]
    for _ in range(20):
        node.clock.advance(2)
        token = (await node.refreshed(token))["refreshToken"]
    for _ in range(5):
        token = (await node.refreshed(token))["refreshToken"]
    assert_limited(await node.refresh(token))
    fresh = await start(refresh_limit="5 per minute")
    assert {(await fresh.refresh("invalid")).status_code for _ in range(5)} == {401}
    assert_limited(await fresh.refresh("invalid"))


def redis_answers() -> bool:
    try:
        with socket.create_connection(("127.0.0.1", 6379), timeout=1):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not redis_answers(), reason="no Redis on localhost:6379")
async def test_nodes_that_share_a_redis_share_the_count(start: StartServer) -> None:
    here, there = await start(rate_limit_url=REDIS), await start(rate_limit_url=REDIS)
    username = uuid.uuid4().hex  # Redis keeps its counts after the test.
    network = f"2001:db8:{username[:4]}:{username[4:8]}::"
    for i in range(10):
        node = (here, there)[i % 2]
        assert (await login(node, f"{network}{i + 1}", username)).status_code == 401
    for node in (here, there):
        assert_limited(await login(node, f"{network}99", username))
        assert_limited(await login(node, "192.0.2.1", username))


async def test_each_node_counts_its_own_tries_while_redis_is_down(
    start: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    node = await start(rate_limit_url="redis://127.0.0.1:1/0")
    for _ in range(10):
        assert (await login(node, "192.0.2.1")).status_code == 401
    assert_limited(await login(node, "192.0.2.1"))
    assert "is unavailable" in caplog.text


@pytest.mark.parametrize(
    ("name", "value"),
    [("login_limit", "often"), ("refresh_limit", "5 per"), ("rate_limit_url", "http://x")],
)
def test_an_invalid_limit_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"Setting {name}:"):
        load_settings(**{name: value})


def test_addresses_of_one_network_share_a_key_and_so_do_invalid_ones() -> None:
    assert address_key("2001:db8::1") == address_key("2001:db8:0:0:ffff::2")
    assert address_key("2001:db8:0:1::1") != address_key("2001:db8::1")
    assert address_key("192.0.2.1") != address_key("192.0.2.2")
    assert address_key(None) == address_key("testclient")


def test_ipv4_within_ipv6_is_ipv4() -> None:
    """A node that listens on ``::`` does not count all of IPv4 as one network."""
    assert address_key("::ffff:192.0.2.1") == address_key("192.0.2.1")
    assert address_key("::ffff:192.0.2.1") != address_key("::ffff:192.0.2.2")
    assert address_key("64:ff9b::192.0.2.1") == address_key("192.0.2.1")
    assert address_key("::1") != address_key("::ffff:127.0.0.1")
