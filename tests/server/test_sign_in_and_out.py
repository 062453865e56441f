"""Signing in and out, and the list of sessions."""

import asyncio
import re

import pytest

from tests.server.harness import StartServer, TestServer, add_user, bearer
from unexpired_server.errors import Unavailable
from unexpired_server.sessions import passwords
from unexpired_server.sessions.passwords import Passwords
from unexpired_server.sessions.revocations import Revocations
from unexpired_server.sessions.store import Store

STORES = ("sqlite", "postgres")


async def test_an_unknown_user_and_a_wrong_password_get_the_same_response(node: TestServer) -> None:
    wrong, unknown = await node.login(password="wrong"), await node.login("nobody")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content
    assert wrong.json()["code"] == "BAD_CREDENTIALS"
    assert wrong.headers["www-authenticate"] == 'Bearer realm="unexpired"'
    assert wrong.headers["cache-control"] == "no-store"


async def test_an_unknown_user_costs_as_many_hashes_as_a_wrong_password(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[str] = []
    original = Passwords._matches  # noqa: SLF001 - the costly step itself is counted

    def counted(self: Passwords, password: str, password_hash: str) -> bool:
        costs.append(re.match(r"\$argon2id\$v=\d+\$[^$]+", password_hash)[0])  # type: ignore[index]
        return original(self, password, password_hash)

    monkeypatch.setattr(Passwords, "_matches", counted)
    await node.login(password="wrong")
    await node.login("nobody")
    assert len(costs) == 2
    assert costs[0] == costs[1]


async def test_too_many_sign_ins_at_once_get_503(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MAX_QUEUE", 0)
    responses = await asyncio.gather(*(node.login() for _ in range(20)))
    statuses = {response.status_code for response in responses}
    assert statuses == {200, 503}
    assert (await node.login()).status_code == 200


async def test_usernames_and_passwords_match_in_any_unicode_form(node: TestServer) -> None:
    await add_user(node.settings, "Zo\u00eb", "caf\u00e9 caf\u00e9")
    assert (await node.login("Zoe\u0308", "cafe\u0301 cafe\u0301")).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"refreshToken": None}, {"refreshToken": 5}, {"refreshToken": "invalid"},
             {"refreshToken": ["x"]}, {"other": "x"}],
)  # fmt: skip
async def test_signing_out_with_an_invalid_token_succeeds(
    node: TestServer, body: dict[str, object]
) -> None:
    response = await node.http.post("/api/logout", json=body)
    assert (response.status_code, response.content) == (204, b"")


async def test_signing_out_ends_the_session_needs_no_access_token_and_can_be_repeated(
    node: TestServer,
) -> None:
    tokens = await node.sign_in()
    for _ in range(2):
        response = await node.http.post(
            "/api/logout", json={"refreshToken": tokens["refreshToken"]}
        )
        assert response.status_code == 204
    assert (await node.refresh(tokens["refreshToken"])).json()["code"] == "SESSION_REVOKED"


async def test_an_older_refresh_token_of_the_session_signs_it_out_too(node: TestServer) -> None:
    old = (await node.sign_in())["refreshToken"]
    new = (await node.refreshed(old))["refreshToken"]
    await node.http.post("/api/logout", json={"refreshToken": old})
    assert (await node.refresh(new)).json()["code"] == "SESSION_REVOKED"


async def test_sign_out_everywhere_ends_every_session_of_this_user_only(node: TestServer) -> None:
    mine, also_mine, bobs = (
        await node.sign_in(),
        await node.sign_in(),
        await node.sign_in("bob"),
    )
    response = await node.http.post("/api/logout-all", headers=bearer(mine["accessToken"]))
    assert response.status_code == 204
    for tokens in (mine, also_mine):
        assert (await node.me(tokens["accessToken"])).json()["code"] == "SESSION_REVOKED"
        assert (await node.refresh(tokens["refreshToken"])).json()["code"] == "SESSION_REVOKED"
    assert (await node.me(bobs["accessToken"])).status_code == 200
    assert (await node.refresh(bobs["refreshToken"])).status_code == 200


async def test_the_list_has_live_sessions_newest_first_and_marks_the_current_one(
    node: TestServer,
) -> None:
    first = await node.sign_in()
    node.clock.advance(10)
    second = await node.sign_in()
    await node.sign_in("bob")
    gone = await node.sign_in()
    await node.http.post("/api/logout", json={"refreshToken": gone["refreshToken"]})
    headers = {**bearer(first["accessToken"]), "User-Agent": "x"}
    listed = (await node.http.get("/api/sessions", headers=headers)).json()["sessions"]
    assert [one["current"] for one in listed] == [False, True]
    assert listed[1] == {
        "id": listed[1]["id"],
        "device": "python-httpx/0.28.1",
        "address": "127.0.0.1",
        "createdAt": "2027-01-15T08:00:00Z",
        "refreshedAt": "2027-01-15T08:00:00Z",
        "expiresAt": "2027-01-22T08:00:00Z",
        "current": True,
        "bound": False,
    }
    node.clock.advance(7 * 86_400 - 10)
    third = await node.sign_in()
    headers = bearer(third["accessToken"])
    listed = (await node.http.get("/api/sessions", headers=headers)).json()["sessions"]
    assert [one["current"] for one in listed] == [True, False]
    assert (await node.refresh(second["refreshToken"])).status_code == 200


async def test_one_session_can_be_revoked_from_another(node: TestServer) -> None:
    ours, lost = await node.sign_in(), await node.sign_in()
    headers = bearer(ours["accessToken"])
    listed = (await node.http.get("/api/sessions", headers=headers)).json()["sessions"]
    (lost_id,) = [one["id"] for one in listed if not one["current"]]
    assert (await node.http.delete(f"/api/sessions/{lost_id}", headers=headers)).status_code == 204
    assert (await node.me(lost["accessToken"])).json()["code"] == "SESSION_REVOKED"
    assert (await node.me(ours["accessToken"])).status_code == 200
    again = await node.http.delete(f"/api/sessions/{lost_id}", headers=headers)
    assert (again.status_code, again.json()["code"]) == (404, "NOT_FOUND")


async def test_another_users_session_is_not_found(node: TestServer) -> None:
    ada, bob = await node.sign_in(), await node.sign_in("bob")
    listed = (await node.http.get("/api/sessions", headers=bearer(bob["accessToken"]))).json()
    for target in (listed["sessions"][0]["id"], "0" * 32, "%00", "x", "é"):
        response = await node.http.delete(
            f"/api/sessions/{target}", headers=bearer(ada["accessToken"])
        )
        assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
    assert (await node.me(bob["accessToken"])).status_code == 200


async def test_another_node_learns_of_a_revocation_with_its_next_poll(
    start: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unexpired_server.service.POLL_INTERVAL", 0.01)
    here, there = await start(), await start()
    tokens = await here.sign_in()
    assert (await there.me(tokens["accessToken"])).status_code == 200
    await here.http.post("/api/logout", json={"refreshToken": tokens["refreshToken"]})
    async with asyncio.timeout(5):
        while (await there.me(tokens["accessToken"])).status_code == 200:
            await asyncio.sleep(0)
    assert (await there.me(tokens["accessToken"])).json()["code"] == "SESSION_REVOKED"


async def test_a_node_that_starts_later_knows_what_was_revoked_before(start: StartServer) -> None:
    node = await start()
    tokens = await node.sign_in()
    await node.http.post("/api/logout", json={"refreshToken": tokens["refreshToken"]})
    node.clock.advance(800)
    later = await start()
    assert (await later.me(tokens["accessToken"])).json()["code"] == "SESSION_REVOKED"


async def test_revocations_stay_while_the_database_is_down_and_go_when_no_longer_needed(
    node: TestServer,
) -> None:
    class Down(Store):
        down = True

        def __init__(self) -> None: ...

        async def revoked_since(self, since: float) -> dict[str, float]:
            if self.down:
                raise Unavailable
            return {"old": 1000} if since <= 1000 else {}

    store = Down()
    known = Revocations(store, 960, node.clock)
    known.add(["mine"])
    with pytest.raises(Unavailable):
        await known.poll()
    assert "mine" in known
    store.down = False
    node.clock.advance(959)
    await known.poll()
    assert "mine" in known
    node.clock.advance(1)
    await known.poll()
    assert "mine" not in known
