"""Every ending is recorded: who, when, from where and how."""

from typing import Any

import pytest

from tests.server.harness import PASSWORD, StartServer, TestServer, add_user, bearer
from tests.server.stores import rows
from unexpired_server.sessions.sessions import Sessions
from unexpired_server.tokens.jws import parse_compact

STORES = ("sqlite", "postgres")
HERE = "127.0.0.1"


async def endings(node: TestServer) -> list[tuple[Any, ...]]:
    query = (
        "SELECT kind, cause, user_id, session_id, address FROM events "
        "WHERE kind IN ('session_revoked', 'refresh_reused') ORDER BY id"
    )
    return [tuple(row) for row in await rows(node.settings.database_url, query)]


async def session_id_of(node: TestServer, tokens: dict[str, Any]) -> str:
    listed = await node.http.get("/api/sessions", headers=bearer(tokens["accessToken"]))
    (current,) = (one["id"] for one in listed.json()["sessions"] if one["current"])
    return str(current)


async def test_every_ending_says_whose_session_how_and_from_where(start: StartServer) -> None:
    node = await start(sessions_per_user=2)
    await add_user(node.settings, "dora")
    service = node.app.state.service
    sessions: Sessions = service.sessions
    expected: list[tuple[Any, ...]] = []

    async def opened() -> tuple[dict[str, Any], str, str]:
        tokens = await node.sign_in("dora")
        return tokens, tokens["user"]["id"], await session_id_of(node, tokens)

    def ended(cause: str, user: str, session: str, address: str | None = HERE) -> None:
        kind = "refresh_reused" if cause == "reuse" else "session_revoked"
        expected.append((kind, cause, user, session, address))

    tokens, user, session = await opened()
    await node.http.post("/api/logout", json={"refreshToken": tokens["refreshToken"]})
    ended("sign_out", user, session)

    tokens, user, session = await opened()
    await node.http.post("/api/logout-all", headers=bearer(tokens["accessToken"]))
    ended("sign_out_everywhere", user, session)

    _, _, session = await opened()
    tokens, _, other = await opened()
    headers = bearer(tokens["accessToken"])
    assert (await node.http.delete(f"/api/sessions/{session}", headers=headers)).is_success
    ended("sign_out_elsewhere", user, session)
    assert await sessions.revoke(other)
    ended("operator", user, other, None)

    tokens, _, session = await opened()
    await node.refreshed((await node.refreshed(tokens["refreshToken"]))["refreshToken"])
    assert (await node.refresh(tokens["refreshToken"])).json()["code"] == "REFRESH_REUSED"
    ended("reuse", user, session)

    _, _, oldest = await opened()
    node.clock.advance(1)
    _, _, second = await opened()
    node.clock.advance(1)
    _, _, third = await opened()
    ended("too_many", user, oldest)

    found = await service.users.find("dora")
    await sessions.set_password(found, service.passwords.hash(PASSWORD))
    recorded = await endings(node)
    assert recorded[: len(expected)] == expected
    changed = recorded[len(expected) :]
    assert {one[3] for one in changed} == {second, third}
    assert {one[:3] + one[4:] for one in changed} == {("session_revoked", "password", user, None)}

    await node.sign_in("dora")
    await sessions.disable(await service.users.find("dora"))
    (last,) = (await endings(node))[len(recorded) :]
    assert last[:3] == ("session_revoked", "disabled", user)


@pytest.mark.parametrize("refresh", [True, False])
async def test_every_access_token_names_its_client_and_older_ones_without_it_are_accepted(
    start: StartServer, *, refresh: bool
) -> None:
    node = await start(refresh=refresh, client_id="web")
    token = (await node.sign_in())["accessToken"]
    assert parse_compact(token).payload["client_id"] == "web"
    assert await node.code(node.forge()) == (200, "")
