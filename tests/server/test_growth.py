"""What a user, a table or a poll may grow to without anybody noticing."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, replace
from typing import Any

import pytest
from sqlalchemy import insert, select

from tests.server.harness import TestServer, bearer
from tests.server.statements import observed
from tests.server.stores import rows
from unexpired_server import service as service_module
from unexpired_server.service import Service
from unexpired_server.sessions import store as store_module
from unexpired_server.sessions.refresh_tokens import RefreshTokenClaims
from unexpired_server.sessions.rules import (
    LOST,
    NO_ATTEMPT,
    Decision,
    Session,
    SessionPolicy,
    decide,
    hash_attempt,
    refreshed,
)
from unexpired_server.sessions.store import COLUMNS, Store
from unexpired_server.storage.database import Database
from unexpired_server.storage.jobs import PURGE, claim
from unexpired_server.storage.schema import sessions

STORES = ("sqlite", "postgres")
MANY = 7000
"""Sessions; with five parameters each they are more than PostgreSQL takes in one statement."""

BILLIONS = 5_000_000_000

KEYS = (None, "k" * 43, "o" * 43)
ATTEMPTS = (NO_ATTEMPT, LOST, hash_attempt("a" * 22), hash_attempt("b" * 22))


@pytest.fixture(autouse=True)
def without_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the background jobs out: tests count statements, and run themselves what they need."""
    monkeypatch.setattr(service_module, "repeating", lambda *_jobs: AsyncExitStack())


def service_of(node: TestServer) -> Service:
    found: Service = node.app.state.service
    return found


@contextmanager
def statements_of(node: TestServer) -> Iterator[list[str]]:
    """Record the statements that the node sends, except those that begin or end a transaction."""
    seen: list[str] = []

    def note(statement: str, _parameters: Any) -> None:
        if not statement.startswith(("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")):
            seen.append(statement)

    with observed(service_of(node).database, note):
        yield seen


async def add_sessions(node: TestServer, number: int) -> None:
    """Give ada many live sessions."""
    is_postgres = "postgres" in node.settings.database_url
    session_id = "lpad(i::text, 32, '0')" if is_postgres else "printf('%032d', i)"
    await rows(
        node.settings.database_url,
        "INSERT INTO sessions "  # noqa: S608 - our own words
        "(id, user_id, counter, created_at, refreshed_at, device, attempts) "
        "WITH RECURSIVE numbers(i) AS "
        f"(SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {number}) "
        f"SELECT {session_id}, users.id, 0, {node.clock()}, {node.clock()}, 'phone', '' "
        "FROM numbers, users WHERE username = 'ada'",
    )


async def count(node: TestServer, what: str) -> int:
    query = f"SELECT count(*) FROM {what}"  # noqa: S608 - our own words
    return int((await rows(node.settings.database_url, query))[0][0])


# -- One user --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        ("disable", "disabled"),
        ("set_password", "password"),
        ("revoke_all", "sign_out_everywhere"),
    ],
)
async def test_a_user_with_thousands_of_sessions_can_be_stopped(
    node: TestServer, ending: str, cause: str
) -> None:
    await add_sessions(node, MANY)
    service = service_of(node)
    ada = await service.users.find("ada")
    assert ada is not None
    await {
        "disable": lambda: service.sessions.disable(ada),
        "set_password": lambda: service.sessions.set_password(ada, "new"),
        "revoke_all": lambda: service.sessions.revoke_all(ada.id),
    }[ending]()
    assert await count(node, "sessions WHERE revoked_at IS NULL") == 0
    ended = f"events WHERE kind = 'session_revoked' AND cause = '{cause}'"
    assert await count(node, ended) == MANY
    assert len(service.revocations) == MANY


async def test_one_session_too_many_ends_the_one_that_was_used_longest_ago(
    start: Any, store: str
) -> None:
    node: TestServer = await start(sessions_per_user=3)
    signed_in = []
    for _ in range(3):
        node.clock.advance(10)
        signed_in.append(await node.sign_in())
    node.clock.advance(10)
    signed_in[0] = await node.refreshed(signed_in[0]["refreshToken"])
    newest = await node.sign_in()
    other = await node.sign_in("bob")
    await service_of(node).sessions.follow()
    states = [(await node.me(one["accessToken"])).status_code for one in signed_in]
    assert states == [200, 401, 200]
    assert (await node.refresh(signed_in[1]["refreshToken"])).json()["code"] == "SESSION_REVOKED"
    for one in (newest, other):
        assert (await node.refresh(one["refreshToken"])).status_code == 200
    assert await rows(store, "SELECT cause FROM events WHERE kind = 'session_revoked'") == [
        ("too_many",)
    ]


async def test_sessions_that_have_ended_do_not_count(start: Any) -> None:
    node: TestServer = await start(sessions_per_user=2, refresh_idle_ttl=100)
    await node.sign_in()
    node.clock.advance(101)
    kept = await node.sign_in()
    out = await node.sign_in()
    await node.http.post("/api/logout", json={"refreshToken": out["refreshToken"]})
    await node.sign_in()
    assert (await node.refresh(kept["refreshToken"])).status_code == 200
    assert await count(node, "events WHERE cause = 'too_many'") == 0


async def test_a_lowered_limit_is_reached_with_the_next_sign_in(start: Any) -> None:
    node: TestServer = await start(sessions_per_user=5)
    await add_sessions(node, 40)
    await node.sign_in()
    assert await count(node, "sessions WHERE revoked_at IS NULL") == 5


# -- One refresh -----------------------------------------------------------------------------------


@pytest.mark.parametrize("jkt", KEYS[:2])
async def test_a_refresh_at_the_store_is_one_statement(node: TestServer, jkt: str | None) -> None:
    service = service_of(node)
    ada = await service.users.find("ada")
    assert ada is not None
    tried = service.sessions._store  # noqa: SLF001 - the node's own
    session = await tried.open_session(ada, "phone", node.clock(), jkt=jkt)
    assert session is not None
    with statements_of(node) as seen:
        claims = RefreshTokenClaims(session.id, 0)
        outcome = await tried.refresh(claims, node.clock(), None, "a" * 22, jkt=jkt)
    assert outcome.decision is Decision.ROTATE
    assert [one.split()[0] for one in seen] == ["UPDATE"]


async def test_a_refresh_is_one_statement(node: TestServer) -> None:
    token = (await node.sign_in())["refreshToken"]
    for _ in range(6):
        with statements_of(node) as seen:
            token = (await node.refreshed(token, "a" * 22))["refreshToken"]
        assert len(seen) == 1
        assert seen[0].startswith("UPDATE sessions")
        assert "RETURNING" in seen[0]


async def test_only_what_the_statement_does_not_find_is_looked_at(node: TestServer) -> None:
    first = (await node.sign_in())["refreshToken"]
    await node.refreshed(first)
    with statements_of(node) as seen:
        await node.refreshed(first)
    assert [one.split()[0] for one in seen] == ["UPDATE", "SELECT"]


@pytest.mark.parametrize(("rotation", "asks"), [(True, True), (False, True), (True, False)])
async def test_the_statement_does_what_the_rules_say(
    node: TestServer, store: str, *, rotation: bool, asks: bool
) -> None:
    policy = SessionPolicy(100, 300, grace=30, rotation=rotation, asks_for_proof=asks)
    database = Database(store)
    tried, randomness = Store(database, policy), random.Random(13)
    ada = await service_of(node).users.find("ada")
    assert ada is not None
    now, stepped = node.clock(), 0
    for _ in range(250):
        before = _any_session(randomness, ada.id, now)
        jkt = randomness.choice([before.jkt, before.jkt, *KEYS])
        counter = max(0, before.counter + randomness.choice([-2, -1, 0, 0, 0, 0, 1]))
        attempt = randomness.choice([None, "a" * 22, "b" * 22])
        decision = decide(before, counter, hash_attempt(attempt), now, policy, jkt=jkt)
        await _put(database, before)
        claims = RefreshTokenClaims(before.id, counter)
        outcome = await tried.refresh(claims, now, None, attempt, jkt=jkt)
        assert outcome.decision is decision, (before, counter, attempt, jkt)
        kept = await _get(database, before.id)
        if decision in {Decision.ROTATE, Decision.KEEP, Decision.ROLL_FORWARD}:
            after = refreshed(before, counter, hash_attempt(attempt), now, policy)
            assert outcome.session == after == kept, before
            stepped += 1
        else:
            ended = now if decision is Decision.REUSE else before.revoked_at
            assert kept == replace(before, revoked_at=ended), (decision, jkt)
    assert stepped > 40
    await database.close()


def _any_session(randomness: random.Random, user_id: str, now: float) -> Session:
    counter = randomness.randrange(9)
    refreshed_at = now - randomness.choice([0.5, 1, 5, 9.5, 29, 31, 99, 100, 101])
    return Session(
        f"{randomness.randrange(16**32):032x}",
        user_id,
        counter,
        refreshed_at - randomness.choice([0, 150, 250]),
        refreshed_at,
        randomness.choice([None, None, None, now - 1]),
        tuple(randomness.choice(ATTEMPTS) for _ in range(min(counter, randomness.randrange(5)))),
        randomness.choice(KEYS[:2]),
    )


async def _put(database: Database, one: Session) -> None:
    row = {**asdict(one), "attempts": ",".join(one.attempts), "device": "phone"}
    await database.rows(insert(sessions).values(row))


async def _get(database: Database, session_id: str) -> Session:
    (row,) = await database.rows(select(*COLUMNS).where(sessions.c.id == session_id))
    attempts = tuple(filter(None, row.attempts.split(",")))
    return Session(**{**row._mapping, "attempts": attempts})  # noqa: SLF001 - SQLAlchemy's public name


# -- All nodes -------------------------------------------------------------------------------------


async def test_a_poll_reads_what_is_new_and_in_pages(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "BATCH", 10)
    await add_sessions(node, 35)
    service = service_of(node)

    async def reads() -> int:
        with statements_of(node) as seen:
            await service.sessions.follow()
        return sum("revoked_at >=" in one for one in seen)

    assert await reads() == 1
    revoke = f"UPDATE sessions SET revoked_at = {node.clock()}"  # noqa: S608 - our own words
    await rows(node.settings.database_url, revoke)
    node.clock.advance(1)
    assert await reads() == 4
    assert len(service.revocations) == 35
    node.clock.advance(70)
    await service.sessions.follow()
    assert await reads() == 1
    assert len(service.revocations) == 35
    node.clock.advance(node.settings.access_ttl + node.settings.leeway)
    await service.sessions.follow()
    assert len(service.revocations) == 0


async def test_of_many_processes_one_purges_until_it_is_due_again(
    node: TestServer, store: str
) -> None:
    databases = [Database(store) for _ in range(4)]
    now = node.clock() + 10_000
    claims = [await claim(one, PURGE, now, 3600) for one in databases]
    assert sorted(claims) == [False, False, False, True]
    assert not await claim(databases[0], PURGE, now + 3599, 3600)
    assert await claim(databases[1], PURGE, now + 3600, 3600)
    # A start in the future was written by a clock that was wrong.
    assert await claim(databases[2], PURGE, now, 3600)
    assert not await claim(databases[3], "unknown", now, 3600)
    for one in databases:
        await one.close()


@pytest.fixture
async def many_before(node: TestServer, store: str) -> AsyncIterator[None]:
    """Make the next event and the next note have a number of more than 32 bits."""
    if "postgres" not in store:
        event = f"INSERT INTO events (id, at, kind) VALUES ({BILLIONS}, {node.clock()}, 'x')"  # noqa: S608
        await rows(store, event)
        await rows(store, f"INSERT INTO sqlite_sequence (name, seq) VALUES ('notes', {BILLIONS})")  # noqa: S608
        yield
        return
    for table in ("events", "notes"):
        await rows(store, f"SELECT setval('{table}_id_seq', {BILLIONS})")
    yield
    for table in ("events", "notes"):
        await rows(store, f"SELECT setval('{table}_id_seq', 1, false)")


@pytest.mark.usefixtures("many_before")
async def test_numbers_have_64_bits(node: TestServer) -> None:
    headers = bearer((await node.sign_in())["accessToken"])
    assert await count(node, f"events WHERE id > {BILLIONS}") == 1
    once = {**headers, "Idempotency-Key": "k"}
    made = [await node.http.post("/api/notes", json={"text": "y"}, headers=once) for _ in "12"]
    assert made[0].json() == made[1].json()
    number = int(made[0].json()["id"])
    assert number > BILLIONS
    assert (await node.http.delete(f"/api/notes/{number}", headers=headers)).status_code == 204
