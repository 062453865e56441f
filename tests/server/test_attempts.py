"""A refresh is idempotent: its attempt is given again what it was given, and no thief is."""

import asyncio
import itertools
import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.server import stores
from tests.server.harness import StartServer, TestServer

STORES = ("sqlite", "postgres")
DAY = 86_400


def new_attempt() -> str:
    return secrets.token_urlsafe(16)


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


async def rows(node: TestServer, query: str) -> list[Any]:
    return await stores.rows(node.settings.database_url, query)


async def counters(node: TestServer) -> list[int]:
    return [row[0] for row in await rows(node, "SELECT counter FROM sessions")]


async def events(node: TestServer, kind: str) -> list[Any]:
    return await rows(node, f"SELECT address, at FROM events WHERE kind = '{kind}'")  # noqa: S608


# -- Lost, late and duplicated ---------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 9, 31, 3600, 6 * DAY])
async def test_a_lost_response_is_asked_for_again_however_late(
    node: TestServer, seconds: float
) -> None:
    token, attempt = (await node.sign_in())["refreshToken"], new_attempt()
    lost = await node.refreshed(token, attempt)
    node.clock.advance(seconds)
    again = await node.refreshed(token, attempt)
    assert again["refreshToken"] == lost["refreshToken"]
    assert await counters(node) == [1]
    assert (await node.me(again["accessToken"])).status_code == 200


async def test_asking_again_moves_no_end_and_no_window(node: TestServer) -> None:
    token, attempt = (await node.sign_in())["refreshToken"], new_attempt()
    await node.refreshed(token, attempt)
    node.clock.advance(6 * DAY)
    assert (await node.refreshed(token, attempt))["refreshExpiresIn"] == DAY
    node.clock.advance(DAY)
    assert code(await node.refresh(token, attempt)) == (401, "REFRESH_EXPIRED")


async def test_fifty_times_the_same_at_once_is_one_step(start: StartServer) -> None:
    nodes = [await start() for _ in range(2)]
    token, attempt = (await nodes[0].sign_in())["refreshToken"], new_attempt()
    responses = await asyncio.gather(*(nodes[i % 2].refresh(token, attempt) for i in range(50)))
    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["refreshToken"] for response in responses}) == 1
    assert await counters(nodes[0]) == [1]


async def test_two_tabs_that_did_not_agree_share_a_successor_for_ten_seconds(
    node: TestServer,
) -> None:
    token = (await node.sign_in())["refreshToken"]
    first = await node.refreshed(token, new_attempt())
    node.clock.advance(9.9)
    assert (await node.refreshed(token, new_attempt()))["refreshToken"] == first["refreshToken"]
    node.clock.advance(0.1)
    assert code(await node.refresh(token, new_attempt())) == (401, "REFRESH_REUSED")


@pytest.mark.parametrize("steps", [2, 3, 4])
async def test_a_late_duplicate_of_a_finished_refresh_ends_nothing(
    node: TestServer, steps: int
) -> None:
    """A request that the network held, delivered after the session has moved on."""
    chain, attempts = [(await node.sign_in())["refreshToken"]], []
    for _ in range(steps):
        attempts.append(new_attempt())
        chain.append((await node.refreshed(chain[-1], attempts[-1]))["refreshToken"])
        node.clock.advance(3600)
    late = await node.refresh(chain[0], attempts[0])
    assert code(late) == (409, "REFRESH_SUPERSEDED")
    assert late.json().keys() == {"error", "code"}
    assert (await node.refresh(chain[-1], new_attempt())).status_code == 200
    assert await events(node, "refresh_reused") == []


async def test_an_attempt_is_forgotten_after_four_generations(node: TestServer) -> None:
    first, oldest = (await node.sign_in())["refreshToken"], new_attempt()
    newest = (await node.refreshed(first, oldest))["refreshToken"]
    for _ in range(4):
        newest = (await node.refreshed(newest, new_attempt()))["refreshToken"]
    assert code(await node.refresh(first, oldest)) == (401, "REFRESH_REUSED")


async def test_superseded_requests_are_limited_like_refused_ones(start: StartServer) -> None:
    node = await start(refresh_limit="3/minute")
    first, attempt = (await node.sign_in())["refreshToken"], new_attempt()
    second = (await node.refreshed(first, attempt))["refreshToken"]
    node.clock.advance(2)
    await node.refreshed(second, new_attempt())
    statuses = [(await node.refresh(first, attempt)).status_code for _ in range(6)]
    assert (statuses[:2], statuses[-1]) == ([409, 409], 429)


# -- A restored database ---------------------------------------------------------------------------


async def restore(node: TestServer, counter: int, attempts: str = "") -> None:
    """Put the session's row back to what a backup holds."""
    query = f"UPDATE sessions SET counter = {counter}, attempts = '{attempts}'"  # noqa: S608
    await rows(node, query)


@pytest.mark.parametrize("steps", [1, 2, 9])
async def test_after_a_restore_the_row_follows_its_honest_client(
    node: TestServer, steps: int
) -> None:
    token = (await node.sign_in())["refreshToken"]
    for _ in range(steps):
        token = (await node.refreshed(token, new_attempt()))["refreshToken"]
    await restore(node, 0)
    node.clock.advance(100)
    tokens = await node.refreshed(token, new_attempt())
    assert await counters(node) == [steps + 1]
    assert (await node.refreshed(tokens["refreshToken"], new_attempt()))["refreshToken"]
    assert await events(node, "refresh_rolled_forward") == [("127.0.0.1", node.clock())]


async def test_a_token_of_a_lost_step_is_still_taken_after_the_restore(node: TestServer) -> None:
    """The client never got the token of a step that the database lost."""
    r0, lost = (await node.sign_in())["refreshToken"], new_attempt()
    r1 = (await node.refreshed(r0, lost))["refreshToken"]
    await restore(node, 0)
    await node.refreshed(r1, new_attempt())
    node.clock.advance(3600)
    assert code(await node.refresh(r0, lost)) == (409, "REFRESH_SUPERSEDED")
    assert await counters(node) == [2]


# -- Other clients, and older rows -----------------------------------------------------------------


async def test_without_an_attempt_the_grace_holds_as_before(node: TestServer) -> None:
    token = (await node.sign_in())["refreshToken"]
    await node.refreshed(token)
    node.clock.advance(29.9)
    await node.refreshed(token)
    node.clock.advance(0.1)
    assert code(await node.refresh(token)) == (401, "REFRESH_REUSED")


async def test_a_row_from_before_the_attempts_goes_on(node: TestServer) -> None:
    token = (await node.sign_in())["refreshToken"]
    token = (await node.refreshed(token))["refreshToken"]
    await restore(node, 1, attempts="")
    token = (await node.refreshed(token, new_attempt()))["refreshToken"]
    assert (await node.refresh(token, new_attempt())).status_code == 200


@pytest.mark.parametrize(
    "attempt", ["", "short", "x" * 21, "x" * 65, "x" * 22 + "\n", "ä" * 22, 5, True, ["x" * 22], {}]
)
async def test_what_is_no_attempt_is_a_bad_request_and_steps_nothing(
    node: TestServer, attempt: object
) -> None:
    token = (await node.sign_in())["refreshToken"]
    assert code(await node.refresh(token, attempt)) == (400, "BAD_REQUEST")
    assert await counters(node) == [0]


async def test_the_database_holds_no_attempt_that_could_be_presented(node: TestServer) -> None:
    token, attempt = (await node.sign_in())["refreshToken"], new_attempt()
    await node.refreshed(token, attempt)
    stored = str(await rows(node, "SELECT * FROM sessions"))
    assert attempt not in stored


# -- Thieves ---------------------------------------------------------------------------------------


@dataclass
class Holder:
    """Someone with a copy of the tokens, who refreshes as an honest client does."""

    node: TestServer
    token: str
    attempt: str | None = None
    codes: list[tuple[int, str]] = field(default_factory=list)

    def copy(self) -> "Holder":
        """Steal: the token and, if one is stored, the attempt."""
        return Holder(self.node, self.token, self.attempt)

    async def refresh(self, *, response_is_lost: bool = False) -> bool:
        self.attempt = self.attempt or new_attempt()
        response = await self.node.refresh(self.token, self.attempt)
        self.codes.append(code(response))
        if response.status_code == 200 and not response_is_lost:
            self.token, self.attempt = response.json()["refreshToken"], None
        return response.status_code == 200


async def victim_of(node: TestServer) -> Holder:
    return Holder(node, (await node.sign_in())["refreshToken"])


async def assert_ended(node: TestServer) -> None:
    """The session is over for both, and the event says from where."""
    assert await rows(node, "SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == [(0,)]
    assert [address for address, _ in await events(node, "refresh_reused")] == ["127.0.0.1"]


@pytest.mark.parametrize("thief_first", [True, False])
async def test_a_thief_in_step_is_found_at_the_second_side_after_ten_seconds(
    node: TestServer, *, thief_first: bool
) -> None:
    victim = await victim_of(node)
    thief = victim.copy()
    first, second = (thief, victim) if thief_first else (victim, thief)
    assert await first.refresh()
    node.clock.advance(10)
    assert not await second.refresh()
    assert second.codes == [(401, "REFRESH_REUSED")]
    assert not await first.refresh()
    assert first.codes[-1] == (401, "SESSION_REVOKED")
    await assert_ended(node)


async def test_a_thief_one_step_behind_is_found_at_once(node: TestServer) -> None:
    victim = await victim_of(node)
    thief = victim.copy()
    for _ in range(2):
        await victim.refresh()
    assert not await thief.refresh()
    assert thief.codes == [(401, "REFRESH_REUSED")]
    await assert_ended(node)


async def test_a_thief_ahead_is_found_when_the_victim_comes(node: TestServer) -> None:
    victim = await victim_of(node)
    thief = victim.copy()
    for _ in range(3):
        assert await thief.refresh()
    assert not await victim.refresh()
    assert victim.codes == [(401, "REFRESH_REUSED")]
    await assert_ended(node)


@pytest.mark.parametrize("first", ["thief", "victim"])
async def test_a_thief_in_mid_refresh_is_found_when_both_have_gone_on(
    node: TestServer, first: str
) -> None:
    """The thief copied token *and* attempt: both get one successor, and then part."""
    victim = await victim_of(node)
    assert await victim.refresh(response_is_lost=True)
    thief = victim.copy()
    assert thief.attempt == victim.attempt is not None
    assert await thief.refresh()
    assert await victim.refresh()
    assert victim.token == thief.token
    node.clock.advance(60)
    one, other = (thief, victim) if first == "thief" else (victim, thief)
    assert await one.refresh()
    node.clock.advance(60)
    assert not await other.refresh()
    assert other.codes[-1] == (401, "REFRESH_REUSED")
    await assert_ended(node)


async def test_a_stolen_attempt_of_a_finished_refresh_gets_no_tokens(node: TestServer) -> None:
    """The thief holds a token and its attempt, and the victim is two steps on."""
    victim = await victim_of(node)
    assert await victim.refresh(response_is_lost=True)
    thief = victim.copy()
    for _ in range(2):
        assert await victim.refresh()
        node.clock.advance(60)
    assert not await thief.refresh()
    assert thief.codes == [(409, "REFRESH_SUPERSEDED")]
    thief.attempt = None
    assert not await thief.refresh()
    assert thief.codes[-1] == (401, "REFRESH_REUSED")
    await assert_ended(node)


async def test_a_thief_whose_step_the_database_lost_is_found_as_well(node: TestServer) -> None:
    """The thief is ahead of the restored row; the victim finds itself superseded, and says so."""
    victim = await victim_of(node)
    thief = victim.copy()
    assert await thief.refresh()
    await restore(node, 0)
    node.clock.advance(60)
    assert await thief.refresh()
    assert not await victim.refresh()
    assert victim.codes == [(409, "REFRESH_SUPERSEDED")]
    assert code(await node.refresh(victim.token)) == (401, "REFRESH_REUSED")
    await assert_ended(node)


@pytest.mark.parametrize("order", sorted(set(itertools.permutations("vvtt"))))
async def test_in_any_order_the_session_is_dead_once_both_sides_have_acted(
    node: TestServer, order: tuple[str, ...]
) -> None:
    victim = await victim_of(node)
    thief = victim.copy()
    for who in order:
        await (victim if who == "v" else thief).refresh()
        node.clock.advance(11)
    await assert_ended(node)
