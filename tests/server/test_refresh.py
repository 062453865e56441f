"""Refresh over HTTP: rotation, grace, reuse, lifetimes, and outages of the store."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection
from sqlalchemy.util import await_only

from tests.server import stores
from tests.server.harness import StartServer, TestServer, bearer
from unexpired_server.service import policy_of
from unexpired_server.sessions import store
from unexpired_server.sessions.store import Store
from unexpired_server.sessions.users import Users
from unexpired_server.storage import database
from unexpired_server.storage.database import Database
from unexpired_server.tokens import base64url

STORES = ("sqlite", "postgres")
DAY = 86_400


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


async def rows(node: TestServer, query: str) -> list[Any]:
    return await stores.rows(node.settings.database_url, query)


async def test_sign_in_and_refresh_return_both_tokens(node: TestServer) -> None:
    first = await node.sign_in()
    user = first.pop("user")
    node.clock.advance(100)
    second = await node.refreshed(first["refreshToken"])
    for tokens in (first, second):
        assert tokens.keys() == {
            "accessToken", "refreshToken", "tokenType", "expiresIn", "refreshExpiresIn"
        }  # fmt: skip
        assert tokens["tokenType"] == "Bearer"
        assert tokens["expiresIn"] == 900
        assert tokens["refreshExpiresIn"] == 7 * DAY
    assert (await node.me(second["accessToken"])).json() == user
    assert user.keys() == {"id", "username", "scopes"}


async def test_responses_with_tokens_may_not_be_cached(node: TestServer) -> None:
    response = await node.login()
    assert response.headers["cache-control"] == "no-store"
    response = await node.refresh(response.json()["refreshToken"])
    assert response.headers["cache-control"] == "no-store"


async def test_a_chain_of_refreshes_works_and_old_ones_do_not(node: TestServer) -> None:
    chain = [(await node.sign_in())["refreshToken"]]
    for _ in range(3):
        node.clock.advance(60)
        chain.append((await node.refreshed(chain[-1]))["refreshToken"])
    assert len(set(chain)) == 4
    assert code(await node.refresh(chain[0])) == (401, "REFRESH_REUSED")
    assert code(await node.refresh(chain[3])) == (401, "SESSION_REVOKED")


@pytest.mark.parametrize("nodes", [1, 2])
async def test_fifty_uses_at_once_are_one_step_and_the_same_successor_for_all(
    start: StartServer, nodes: int
) -> None:
    started = [await start() for _ in range(nodes)]
    token = (await started[0].sign_in())["refreshToken"]
    responses = await asyncio.gather(*(started[i % nodes].refresh(token) for i in range(50)))
    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["refreshToken"] for response in responses}) == 1
    assert await rows(started[0], "SELECT counter FROM sessions") == [(1,)]


async def test_within_the_grace_the_same_successor_with_a_fresh_access_token(
    node: TestServer,
) -> None:
    r0 = (await node.sign_in())["refreshToken"]
    first = await node.refreshed(r0)
    node.clock.advance(29)
    again = await node.refreshed(r0)
    assert again["refreshToken"] == first["refreshToken"]
    assert again["accessToken"] != first["accessToken"]
    assert again["refreshExpiresIn"] == 7 * DAY - 29
    assert (await node.me(again["accessToken"])).status_code == 200


async def test_after_the_grace_a_second_use_ends_the_session_and_its_tokens(
    node: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    r0 = await node.sign_in()
    r1 = await node.refreshed(r0["refreshToken"])
    node.clock.advance(31)
    assert code(await node.refresh(r0["refreshToken"])) == (401, "REFRESH_REUSED")
    assert code(await node.refresh(r1["refreshToken"])) == (401, "SESSION_REVOKED")
    for tokens in (r0, r1):
        assert code(await node.me(tokens["accessToken"])) == (401, "SESSION_REVOKED")
    query = "SELECT kind, at FROM events ORDER BY id DESC LIMIT 1"
    assert await rows(node, query) == [("refresh_reused", node.clock())]
    assert "reused" in caplog.text
    assert r0["refreshToken"] not in caplog.text


async def test_the_grace_ends_at_its_end(start: StartServer) -> None:
    node = await start(refresh_grace=30)
    for seconds, expected in ((29.99, 200), (30, 401)):
        token = (await node.sign_in())["refreshToken"]
        await node.refreshed(token)
        node.clock.advance(seconds)
        assert (await node.refresh(token)).status_code == expected


async def test_without_grace_a_second_use_is_reuse(start: StartServer) -> None:
    node = await start(refresh_grace=0)
    token = (await node.sign_in())["refreshToken"]
    await node.refreshed(token)
    assert code(await node.refresh(token)) == (401, "REFRESH_REUSED")


async def test_using_the_grace_does_not_extend_it(node: TestServer) -> None:
    r0 = (await node.sign_in())["refreshToken"]
    await node.refreshed(r0)
    for _ in range(2):
        node.clock.advance(14)
        await node.refreshed(r0)
    node.clock.advance(14)
    assert code(await node.refresh(r0)) == (401, "REFRESH_REUSED")


async def test_two_generations_old_is_reuse_even_within_the_grace(node: TestServer) -> None:
    r0 = (await node.sign_in())["refreshToken"]
    r1 = (await node.refreshed(r0))["refreshToken"]
    await node.refreshed(r1)
    assert code(await node.refresh(r0)) == (401, "REFRESH_REUSED")


async def test_reuse_in_one_session_ends_no_other(node: TestServer) -> None:
    stolen, other = await node.sign_in(), await node.sign_in()
    await node.refreshed(stolen["refreshToken"])
    node.clock.advance(31)
    assert code(await node.refresh(stolen["refreshToken"])) == (401, "REFRESH_REUSED")
    assert (await node.refresh(other["refreshToken"])).status_code == 200
    assert (await node.me(other["accessToken"])).status_code == 200


@pytest.mark.parametrize("nodes", [1, 2])
async def test_a_refresh_that_races_a_sign_out_never_leaves_a_live_session(
    start: StartServer, nodes: int
) -> None:
    started = [await start() for _ in range(nodes)]
    first, last = started[0], started[-1]
    for _ in range(10):
        token = (await first.sign_in())["refreshToken"]
        body = {"refreshToken": token}
        raced, out = await asyncio.gather(
            first.refresh(token), last.http.post("/api/logout", json=body)
        )
        assert out.status_code == 204
        newest = raced.json().get("refreshToken", token)
        assert code(await first.refresh(newest)) == (401, "SESSION_REVOKED")
    assert await rows(first, "SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == [(0,)]


@contextmanager
def just_before(monkeypatch: pytest.MonkeyPatch, name: str, meanwhile: str) -> Iterator[None]:
    """Change the rows, as another node would, just before one step of a refresh."""
    original = getattr(Store, name)
    pending = [f"UPDATE sessions SET {meanwhile}"]  # noqa: S608 - our own words

    def step(self: Store, connection: Connection, asked: Any) -> Any:
        if pending:
            connection.exec_driver_sql(pending.pop())
        return original(self, connection, asked)

    monkeypatch.setattr(Store, name, step)
    yield
    monkeypatch.undo()
    assert not pending


async def test_a_refresh_whose_database_moves_on_while_it_rolls_forward_does_not_roll_back(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only place that reads and then writes; its write compares."""
    r2 = await restored_to_the_start(node)
    original = store._replace
    pending = ["UPDATE sessions SET counter = 9"]

    def replace(connection: Connection, *rest: Any) -> bool:
        if pending:
            connection.exec_driver_sql(pending.pop())
        return original(connection, *rest)

    monkeypatch.setattr(store, "_replace", replace)
    assert code(await node.refresh(r2)) == (401, "REFRESH_REUSED")
    assert await rows(node, "SELECT counter FROM sessions") == [(9,)]


async def restored_to_the_start(node: TestServer) -> str:
    token: str = (await node.sign_in())["refreshToken"]
    for _ in range(2):
        token = (await node.refreshed(token))["refreshToken"]
    await rows(node, "UPDATE sessions SET counter = 0, attempts = ''")
    return token


async def test_work_that_runs_again_after_its_result_was_lost_gets_the_same_successor(
    start: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a grace, and without an attempt that could be recognised."""
    node = await start(refresh_grace=0)
    first = (await node.sign_in())["refreshToken"]
    original = Database.grouped

    async def twice(database: Database, work: Any) -> Any:
        await original(database, work)
        return await original(database, work)

    monkeypatch.setattr(Database, "grouped", twice)
    second = (await node.refreshed(first))["refreshToken"]
    monkeypatch.undo()
    assert await rows(node, "SELECT counter FROM sessions") == [(1,)]
    node.clock.advance(1)
    await node.refreshed(second)
    assert code(await node.refresh(first)) == (401, "REFRESH_REUSED")


async def test_a_slow_refresh_cannot_decrease_the_counter(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    r0 = (await node.sign_in())["refreshToken"]
    with just_before(monkeypatch, "_step", "counter = counter + 2"):
        assert code(await node.refresh(r0)) == (401, "REFRESH_REUSED")
    assert await rows(node, "SELECT counter FROM sessions") == [(2,)]


async def test_a_slow_refresh_gets_the_successor_of_a_faster_one(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    r0 = (await node.sign_in())["refreshToken"]
    with just_before(monkeypatch, "_step", "counter = counter + 1"):
        slow = await node.refreshed(r0)
    assert slow["refreshToken"] == (await node.refreshed(r0))["refreshToken"]
    assert await rows(node, "SELECT counter FROM sessions") == [(1,)]


async def test_a_slow_refresh_does_not_revive_a_session_that_was_signed_out(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    r0 = (await node.sign_in())["refreshToken"]
    with just_before(monkeypatch, "_step", f"revoked_at = {node.clock()}"):
        assert code(await node.refresh(r0)) == (401, "SESSION_REVOKED")
    assert await rows(node, "SELECT counter FROM sessions") == [(0,)]


def _resealed(token: str, **changes: bytes) -> str:
    raw = bytearray(base64url.decode(token.removeprefix("rt1.")))
    for name, value in changes.items():
        first = {"kid": 0, "session": 8, "counter": 24, "mac": 32}[name]
        raw[first : first + len(value)] = value
    return "rt1." + base64url.encode(bytes(raw))


async def test_forged_refresh_tokens_get_one_response_and_change_nothing(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = (await node.sign_in())["refreshToken"], (await node.sign_in())["refreshToken"]
    before = await rows(node, "SELECT * FROM sessions ORDER BY id")
    raw, theirs = (base64url.decode(t.removeprefix("rt1.")) for t in (mine, other))
    forged = [
        _resealed(mine, counter=(1).to_bytes(8, "big")),
        _resealed(mine, counter=b"\xff" * 8),
        _resealed(mine, session=theirs[8:24]),
        _resealed(mine, kid=b"\x00" * 8),
        _resealed(mine, mac=bytes(32)),
        _resealed(mine, mac=theirs[32:]),
        "rt1." + base64url.encode(raw[:-1]),
        "rt1." + base64url.encode(raw + b"\x00"),
        mine + "=", mine + "A", mine[:-1], mine.upper(), mine.removeprefix("rt1."),
        "rt2." + mine.removeprefix("rt1."), "", "rt1.", "x" * 10_000, "rt1.\u00e9", "\u0000",
    ]  # fmt: skip
    # Authentic or refused before any database work:
    monkeypatch.setattr(Database, "_with_timeout", None)
    responses = [await node.refresh(token) for token in forged]
    assert {(r.status_code, r.text, r.headers["www-authenticate"]) for r in responses} == {
        (401, responses[0].text, responses[0].headers["www-authenticate"])
    }
    assert responses[0].json()["code"] == "REFRESH_INVALID"
    monkeypatch.undo()
    assert await rows(node, "SELECT * FROM sessions ORDER BY id") == before
    assert (await node.refresh(mine)).status_code == 200


@pytest.mark.parametrize("token", [None, 1, ["rt1."], {"a": "b"}, True])
async def test_a_refresh_token_that_is_not_a_string_is_a_bad_request(
    node: TestServer, token: object
) -> None:
    assert code(await node.refresh(token)) == (400, "BAD_REQUEST")


async def test_the_database_holds_nothing_that_can_be_used_as_a_token(node: TestServer) -> None:
    tokens = await node.sign_in()
    renewed = await node.refreshed(tokens["refreshToken"])
    tables = ("users", "sessions", "events", "notes", "idempotency_keys")
    dump = str([await rows(node, f"SELECT * FROM {table}") for table in tables])  # noqa: S608
    for token in (tokens, renewed):
        raw = base64url.decode(token["refreshToken"].removeprefix("rt1."))
        for secret in (token["refreshToken"][-43:], token["accessToken"][-43:], raw[32:].hex()):
            assert secret not in dump
    assert "correct horse" not in dump
    # Without the key, the next token cannot be made from the whole database.
    row = (await rows(node, "SELECT * FROM sessions"))[0]
    assert code(await node.refresh(str(row))) == (401, "REFRESH_INVALID")


async def test_an_idle_session_expires(node: TestServer) -> None:
    token = (await node.sign_in())["refreshToken"]
    node.clock.advance(7 * DAY - 1)
    token = (await node.refreshed(token))["refreshToken"]
    node.clock.advance(7 * DAY)
    assert code(await node.refresh(token)) == (401, "REFRESH_EXPIRED")


async def test_a_session_in_use_expires_at_its_maximum_age(node: TestServer) -> None:
    token = (await node.sign_in())["refreshToken"]
    for _ in range(29):
        node.clock.advance(DAY)
        token = (await node.refreshed(token))["refreshToken"]
    node.clock.advance(DAY - 100)
    tokens = await node.refreshed(token)
    assert (tokens["refreshExpiresIn"], tokens["expiresIn"]) == (100, 100)
    node.clock.advance(100)
    assert code(await node.refresh(tokens["refreshToken"])) == (401, "REFRESH_EXPIRED")


async def test_sessions_have_no_leeway(start: StartServer) -> None:
    node = await start(leeway=60, refresh_idle_ttl=1000)
    token = (await node.sign_in())["refreshToken"]
    node.clock.advance(1000)
    assert code(await node.refresh(token)) == (401, "REFRESH_EXPIRED")


async def test_a_disabled_user_can_neither_refresh_nor_sign_in_nor_use_old_tokens(
    start: StartServer,
) -> None:
    node, other = await start(), await start()
    tokens = await node.sign_in()
    away = Database(node.settings.database_url)
    ada = await Users(away).find("ada")
    assert ada is not None
    await Store(away, policy_of(node.settings)).disable(ada, node.clock())
    await away.close()
    assert code(await node.refresh(tokens["refreshToken"])) == (401, "SESSION_REVOKED")
    assert code(await node.login()) == (401, "BAD_CREDENTIALS")
    assert code(await other.refresh(tokens["refreshToken"])) == (401, "SESSION_REVOKED")


async def test_without_rotation_one_refresh_token_works_until_the_session_ends(
    start: StartServer,
) -> None:
    node = await start(rotation=False)
    token = (await node.sign_in())["refreshToken"]
    for _ in range(4):
        node.clock.advance(6 * DAY)
        tokens = await node.refreshed(token)
        assert tokens["refreshToken"] == token
        assert (await node.me(tokens["accessToken"])).status_code == 200
    node.clock.advance(6 * DAY)
    assert code(await node.refresh(token)) == (401, "REFRESH_EXPIRED")


async def test_with_refresh_turned_off_there_is_no_refresh_token_and_no_refresh(
    start: StartServer,
) -> None:
    node = await start(refresh=False)
    tokens = await node.sign_in()
    assert tokens.keys() == {"accessToken", "tokenType", "expiresIn", "user"}
    assert code(await node.refresh("rt1.x")) == (404, "NOT_FOUND")
    response = await node.http.post("/api/logout", json={}, headers=bearer(tokens["accessToken"]))
    assert response.status_code == 204
    assert code(await node.me(tokens["accessToken"])) == (401, "SESSION_REVOKED")


async def test_a_session_without_a_row_has_expired(node: TestServer) -> None:
    token = (await node.sign_in())["refreshToken"]
    await rows(node, "DELETE FROM sessions")
    assert code(await node.refresh(token)) == (401, "REFRESH_EXPIRED")


@asynccontextmanager
async def locked(node: TestServer) -> AsyncIterator[None]:
    """Hold the lock that every write needs."""
    url = node.settings.database_url
    begin = "BEGIN EXCLUSIVE" if url.startswith("sqlite") else "BEGIN"
    async with stores.engine_of(url).connect() as connection:
        await connection.exec_driver_sql(begin)
        if not url.startswith("sqlite"):
            await connection.exec_driver_sql("LOCK TABLE users, sessions")
        yield
        await connection.exec_driver_sql("ROLLBACK")


async def test_a_locked_store_is_unavailable_while_access_tokens_still_verify(
    start: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    node = await start()
    tokens = await node.sign_in()
    await node.me(tokens["accessToken"])
    monkeypatch.setattr(database, "TIMEOUT_SECONDS", 0.2)
    async with locked(node):
        response = await node.refresh(tokens["refreshToken"])
        assert code(response) == (503, "UNAVAILABLE")
        assert int(response.headers["retry-after"]) >= 1
        assert code(await node.login()) == (503, "UNAVAILABLE")
        assert (await node.me(tokens["accessToken"])).status_code == 200
    monkeypatch.setattr(database, "TIMEOUT_SECONDS", 5)
    assert (await node.refresh(tokens["refreshToken"])).status_code == 200


async def test_a_store_that_hangs_times_out_and_its_late_commit_takes_effect(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, released = Store._step, threading.Event()  # noqa: SLF001 - where a driver would hang
    first = await node.sign_in()

    def hang(self: Store, connection: Connection, asked: Any) -> Any:
        if (
            connection.dialect.name == "sqlite"
        ):  # In its own thread; PostgreSQL runs on the event loop.
            released.wait()
        while not released.is_set():
            await_only(asyncio.sleep(0))
        return original(self, connection, asked)

    monkeypatch.setattr(database, "TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(Store, "_step", hang)
    assert code(await node.refresh(first["refreshToken"])) == (503, "UNAVAILABLE")
    monkeypatch.undo()
    released.set()
    async with asyncio.timeout(5):
        while await rows(node, "SELECT counter FROM sessions") != [(1,)]:
            await asyncio.sleep(0)
    assert (await node.refresh(first["refreshToken"])).status_code == 200
    assert await rows(node, "SELECT counter FROM sessions") == [(1,)]


@asynccontextmanager
async def without_tables(node: TestServer) -> AsyncIterator[None]:
    tables = ("idempotency_keys", "notes", "sessions", "users", "events")
    for table in tables:
        await rows(node, f"ALTER TABLE {table} RENAME TO {table}_gone")
    yield
    for table in tables:
        await rows(node, f"ALTER TABLE {table}_gone RENAME TO {table}")


async def test_without_its_store_every_route_that_needs_it_is_unavailable(
    node: TestServer,
) -> None:
    tokens = await node.sign_in()
    async with without_tables(node):
        await assert_unavailable(node, tokens)
    assert (await node.refresh(tokens["refreshToken"])).status_code == 200


async def assert_unavailable(node: TestServer, tokens: dict[str, Any]) -> None:
    headers = bearer(tokens["accessToken"])
    responses = [
        await node.login(),
        await node.refresh(tokens["refreshToken"]),
        await node.http.get("/api/notes", headers=headers),
        await node.http.post("/api/notes", json={"text": "x"}, headers=headers),
        await node.http.get("/api/sessions", headers=headers),
        await node.http.post("/api/logout-all", headers=headers),
        await node.http.get("/api/me", headers=headers),
        await node.http.post("/api/logout", json={"refreshToken": tokens["refreshToken"]}),
    ]
    assert {code(response) for response in responses} == {(503, "UNAVAILABLE")}
    assert all("retry-after" in response.headers for response in responses)
    assert (await node.http.get("/healthz")).status_code == 200
