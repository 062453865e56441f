"""Rate limits: per account, per address, behind proxies, and on several nodes."""

import asyncio
import socket
import uuid
from typing import Any

import httpx
import pytest

from tests.server.harness import StartServer, TestServer
from tests.server.stores import rows
from tests.support.clock import FakeClock
from unexpired_server.http.rate_limits import address_key
from unexpired_server.service import Service
from unexpired_server.settings import SettingsError, load_settings

REDIS = "redis://127.0.0.1:6379/0"
HOME, CAFE = "192.0.2.7", "203.0.113.9"


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


def assert_limited(response: httpx.Response, within: int = 300) -> None:
    assert (response.status_code, response.json()["code"]) == (429, "RATE_LIMITED")
    assert 1 <= int(response.headers["retry-after"]) <= within


async def fail(node: TestServer, times: int, address: str, username: str = "ada") -> None:
    """Type that many wrong passwords; each is answered."""
    for _ in range(times):
        assert (await login(node, address, username)).status_code == 401


async def test_ten_failures_from_an_address_block_the_account_for_that_address(
    node: TestServer,
) -> None:
    await fail(node, 10, HOME)
    assert_limited(await login(node, HOME))
    # Not even the correct password gets another response now.
    assert_limited(await login(node, HOME, password="correct horse"))
    assert (await login(node, CAFE, password="correct horse")).status_code == 200


@pytest.mark.parametrize("networks", [("192.0.2.1",), ("2001:db8::1", "2001:db8::ffff:2")])
async def test_ten_colleagues_who_mistype_do_not_lock_out_their_office(
    node: TestServer, networks: tuple[str, ...]
) -> None:
    for i in range(10):
        assert (await login(node, networks[i % len(networks)], f"user{i}")).status_code == 401
    assert (await login(node, networks[0], "bob", "correct horse")).status_code == 200


async def test_an_address_has_a_limit_over_all_accounts(start: StartServer) -> None:
    node = await start(address_limit="10 per hour")
    for i in range(10):
        assert (await login(node, HOME, f"user{i}")).status_code == 401
    assert_limited(await login(node, HOME, "bob", "correct horse"), within=3600)
    assert (await login(node, CAFE, "bob", "correct horse")).status_code == 200


async def test_an_account_has_a_limit_over_all_addresses(start: StartServer) -> None:
    node = await start(account_limit="10 per hour")
    for i in range(10):
        await fail(node, 1, f"198.51.100.{i}")
    assert_limited(await login(node, "198.51.100.99"), within=3600)
    assert_limited(await login(node, "198.51.100.99", password="correct horse"), within=3600)
    assert (await login(node, HOME, "bob", "correct horse")).status_code == 200


async def sign_in_and_out(node: TestServer, address: str, username: str) -> None:
    tokens = (await login(node, address, username, "correct horse")).json()
    body = {"refreshToken": tokens["refreshToken"]}
    assert (await node.http.post("/api/logout", json=body)).status_code == 204


async def test_guesses_from_elsewhere_do_not_lock_an_owner_out_of_known_addresses(
    start: StartServer,
) -> None:
    node = await start(account_limit="10 per hour")
    await sign_in_and_out(node, "2001:db8:0:1::1", "ada")
    for i in range(10):
        await fail(node, 1, f"198.51.100.{i}")
    assert_limited(await login(node, CAFE, password="correct horse"), within=3600)
    same_network = "2001:db8:0:1::ffff"
    assert (await login(node, same_network, password="correct horse")).status_code == 200
    # There, too, guesses are limited: to ten.
    await fail(node, 10, same_network)
    assert_limited(await login(node, same_network, password="correct horse"))


async def test_forged_guesses_of_a_colleague_do_not_lock_out_those_who_work_there(
    start: StartServer,
) -> None:
    node = await start(address_limit="10 per hour")
    await sign_in_and_out(node, HOME, "bob")
    for i in range(10):
        await fail(node, 1, HOME, f"user{i}")
    assert_limited(await login(node, HOME, password="correct horse"), within=3600)
    assert (await login(node, HOME, "bob", "correct horse")).status_code == 200


async def test_usernames_that_look_the_same_are_one_account(node: TestServer) -> None:
    for i in range(10):
        await login(node, HOME, "Zo\u00eb" if i % 2 else "Zoe\u0308")
    assert_limited(await login(node, HOME, "Zo\u00eb"))


async def test_successful_sign_ins_have_a_generous_limit(start: StartServer) -> None:
    node = await start(sign_in_limit="30 per hour")
    for _ in range(30):
        assert (await login(node, HOME, password="correct horse")).status_code == 200
    assert_limited(await login(node, HOME, password="correct horse"), within=3600)
    # A wrong password gets the same response, so a right one is not revealed.
    assert_limited(await login(node, CAFE), within=3600)
    assert (await login(node, HOME, "bob", "correct horse")).status_code == 200


async def test_a_disabled_user_is_limited_like_a_wrong_password(start: StartServer) -> None:
    node = await start()
    service: Service = node.app.state.service
    ada = await service.users.find("ada")
    assert ada is not None
    await service.sessions.disable(ada)
    for _ in range(10):
        assert (await login(node, HOME, password="correct horse")).status_code == 401
    assert_limited(await login(node, HOME, password="correct horse"))


async def test_guesses_at_once_reveal_no_more_than_ten_in_a_row(start: StartServer) -> None:
    node = await start()
    tries = [login(node, "192.0.2.1") for _ in range(30)]
    responses = await asyncio.gather(*tries, login(node, "192.0.2.1", password="correct horse"))
    statuses = [response.status_code for response in responses]
    assert statuses.count(401) == 10
    assert set(statuses[:30]) == {401, 429}
    # The correct guess came last, after the limit was reached.
    assert statuses[30] == 429


async def test_a_limit_ends_and_an_empty_one_is_no_limit(
    start: StartServer, limits_clock: FakeClock
) -> None:
    node = await start(login_limit="1 per second")
    assert (await login(node, "192.0.2.1")).status_code == 401
    assert_limited(await login(node, "192.0.2.1"))
    limits_clock.advance(2)
    assert (await login(node, "192.0.2.1", password="correct horse")).status_code == 200
    free = await start(login_limit="", account_limit="", address_limit="", sign_in_limit="")
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


@pytest.mark.usefixtures("limits_clock")
async def test_x_forwarded_for_is_used_only_from_trusted_proxies(start: StartServer) -> None:
    trusting = await start(trusted_proxies="10.0.0.0/8", address_limit="10 per 5 minutes")
    assert set(await forwarded(trusting, "10.1.2.3", "192.0.2.{i}")) == {401}
    # Entries before the proxy's own come from the client, who may send anything.
    assert (await forwarded(trusting, "10.1.2.3", "192.0.2.{i}, 198.51.100.7"))[-1] == 429
    assert (await forwarded(trusting, "203.0.113.9", "192.0.2.{i}"))[-1] == 429
    wary = await start(address_limit="10 per 5 minutes")
    assert (await forwarded(wary, "10.1.2.3", "192.0.2.{i}"))[-1] == 429


async def refresh_until_limited(node: TestServer, token: str, at_most: int = 20) -> int:
    """Refresh one session as fast as possible; return how many refreshes were answered by 200."""
    for done in range(at_most):
        response = await node.refresh(token)
        if response.status_code == 429:
            assert_limited(response)
            return done
        token = response.json()["refreshToken"]
    return at_most


@pytest.mark.usefixtures("limits_clock")
@pytest.mark.parametrize("settings", [{}, {"rotation": False}, {"refresh_grace": 600}])
async def test_a_session_that_is_refreshed_all_the_time_is_limited(
    start: StartServer, settings: dict[str, Any]
) -> None:
    """With rotation and without, and for repeats of one token within the grace."""
    node = await start(refresh_limit="5 per minute", **settings)
    token = (await node.sign_in())["refreshToken"]
    if "refresh_grace" not in settings:
        # The first of a while is free, and a count may take effect after the next refresh.
        assert 6 <= await refresh_until_limited(node, token) <= 7
        return
    statuses = []
    for _ in range(8):
        node.clock.advance(2)
        statuses.append((await node.refresh(token)).status_code)
    assert (statuses[:6], statuses[7]) == ([200] * 6, 429)


@pytest.mark.usefixtures("limits_clock")
async def test_a_limit_never_changes_the_response_of_a_refresh_that_is_committed(
    start: StartServer, store: str
) -> None:
    """Of many refreshes of one session at once, each that stepped was answered by 200."""
    node = await start(refresh_limit="1 per minute")
    tokens = [(await node.sign_in())["refreshToken"] for _ in range(4)]
    for _ in range(3):
        responses = await asyncio.gather(*(node.refresh(token) for token in tokens))
        tokens = [
            response.json()["refreshToken"] if response.status_code == 200 else token
            for response, token in zip(responses, tokens, strict=True)
        ]
    counters = await rows(store, "SELECT counter FROM sessions ORDER BY id")
    read = node.app.state.service.sessions.read_refresh_token
    answered = sorted((claims := read(token)).session_id + f" {claims.counter}" for token in tokens)
    committed = await rows(store, "SELECT id, counter FROM sessions ORDER BY id")
    assert counters == [(2,)] * 4
    assert answered == [f"{session_id} {counter}" for session_id, counter in committed]


@pytest.mark.usefixtures("limits_clock")
async def test_forged_refresh_tokens_cost_only_their_sender(start: StartServer) -> None:
    node = await start(address_limit="5 per minute")
    token = (await node.sign_in())["refreshToken"]
    assert {(await node.refresh(f"{token}x")).status_code for _ in range(5)} == {401}
    assert_limited(await node.refresh("forged"))
    # From the same address, an authentic token is judged by its own session.
    assert (await node.refresh(token)).status_code == 200
    assert (await node.login()).status_code == 200


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
        assert (await login(node, HOME, username)).status_code == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("login_limit", "often"),
        ("address_limit", "5/"),
        ("sign_in_limit", "-1 per hour"),
        ("refresh_limit", "5 per"),
        ("rate_limit_url", "http://x"),
    ],
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
