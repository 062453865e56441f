"""How PostgreSQL runs the statement of each request at a million sessions: by an index."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

import httpx
import pytest
from sqlalchemy import text

from server.app import create_app
from server.notes import Notes
from tests.server.harness import HASHER, TestServer, bearer
from tests.server.statements import observed
from tests.server.stores import PASSWORD_HASH, Postgres, engine_of, rows
from tests.support.clock import START, FakeClock
from unexpired_server.service import Service, policy_of
from unexpired_server.sessions.identities import BuiltInIdentities, Identity
from unexpired_server.sessions.known_addresses import KnownAddresses
from unexpired_server.sessions.sign_in_codes import SignInCodes
from unexpired_server.sessions.store import Store
from unexpired_server.settings import DAY, Settings
from unexpired_server.storage.database import Database
from unexpired_server.storage.jobs import PURGE, claim
from unexpired_server.tokens.provider import s256

ROWS = 1_000_000
USERS = 100_000
HASTE = 0.000_03
"""Seconds between two of the rows' times, so that all are of the last minute."""

FILL = f"""
ALTER TABLE notes SET UNLOGGED;
ALTER TABLE idempotency_keys SET UNLOGGED;
ALTER TABLE sessions SET UNLOGGED;
ALTER TABLE events SET UNLOGGED;
INSERT INTO users
SELECT md5(i::text), CASE i WHEN 1 THEN 'ada' ELSE 'user' || i END, '{PASSWORD_HASH}', {START}, NULL
FROM generate_series(1, {USERS}) i;
SET session_replication_role = replica;
INSERT INTO sessions
(id, user_id, counter, created_at, refreshed_at, revoked_at, device, address)
SELECT md5('s' || i), md5((1 + i % {USERS})::text), 3, {START} - i * {HASTE},
{START} - i * {HASTE}, CASE WHEN i % 50 = 0 THEN {START} - i * {HASTE} END, 'phone', '192.0.2.1'
FROM generate_series(1, {ROWS}) i;
INSERT INTO events (at, kind, user_id, session_id)
SELECT {START} - i * {HASTE}, 'sign_in', md5((1 + i % {USERS})::text), md5('s' || i)
FROM generate_series(1, {ROWS}) i;
INSERT INTO notes (user_id, text, created_at)
SELECT md5((1 + i % {USERS})::text), 'x', {START} FROM generate_series(1, {ROWS // 10}) i;
INSERT INTO idempotency_keys (user_id, key, fingerprint, note_id, created_at)
SELECT user_id, id::text, 'x', id, {START} FROM notes;
INSERT INTO identities
SELECT 'https://login.example', i::text, md5(i::text), {START} FROM generate_series(1, {USERS}) i;
INSERT INTO sign_in_codes
SELECT md5(i::text), md5(i::text), 'x', {START} + i * 0.1
FROM generate_series(1, {USERS}) i;
ANALYZE
"""  # noqa: S608 - our own words

TABLES = {"users", "sessions", "events", "notes", "idempotency_keys", "identities", "sign_in_codes"}


@pytest.fixture(scope="module")
def large() -> Iterator[str]:
    """A database with a million sessions and a million events."""
    if trouble := Postgres.trouble():
        pytest.skip(trouble)
    database = Postgres()
    asyncio.run(database.admin("CREATE DATABASE {name}"))
    try:
        asyncio.run(_fill(database.address))
        yield database.address
    finally:
        database.drop()


async def _fill(url: str) -> None:
    database = Database(url)
    await database.migrate()
    await database.close()
    engine = engine_of(url)
    async with engine.connect() as connection:
        for statement in FILL.split(";\n"):
            await connection.execute(text(statement))
    await engine.dispose()


@pytest.fixture
async def node(large: str, tmp_path: Any) -> AsyncIterator[TestServer]:
    settings = Settings(
        database_url=large, keys_file=tmp_path / "keys.json", login_limit="3/minute"
    )
    clock = FakeClock()
    app = create_app(settings, now=clock, hasher=HASHER)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        yield TestServer(app, settings, clock, http)


class Recorder:
    """Records the statements of a node, and has PostgreSQL explain them."""

    def __init__(self, database: Database) -> None:
        self._observed = observed(database, self._record)
        self.seen: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._observed.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._observed.__exit__(None, None, None)

    def _record(self, statement: str, parameters: Any) -> None:
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            first = parameters[0] if isinstance(parameters, list) else parameters
            self.seen.setdefault(statement, first)

    async def plans(self, url: str) -> dict[str, Any]:
        engine, plans = engine_of(url), {}
        async with engine.connect() as connection:
            for statement, parameters in self.seen.items():
                found = await connection.exec_driver_sql(
                    f"EXPLAIN (FORMAT JSON) {statement}", parameters
                )
                plan = found.scalar_one()
                plans[statement] = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
        await engine.dispose()
        return plans


def parts(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from parts(part)


async def sign_in_at_provider(service: Service) -> None:
    people = BuiltInIdentities(service.database, service.now)
    known = await people.find_or_create(Identity("https://login.example", "7"))
    new = await people.find_or_create(Identity("https://login.example", "new"))
    assert (known.is_new, new.is_new) == (False, True)
    codes = SignInCodes(service.database, service.now)
    code = await codes.write("7", s256("verifier"))
    assert await codes.redeem(code, "verifier") == "7"
    await codes.purge(service.now())


async def use_everything(node: TestServer) -> None:
    """Make each request at least once, and each job."""
    service: Service = node.app.state.service
    tokens = await node.sign_in()
    headers = bearer(tokens["accessToken"])
    node.clock.advance(5)
    await node.refreshed(tokens["refreshToken"])
    await node.refreshed(tokens["refreshToken"])
    for path in ("/api/me", "/api/sessions", "/api/notes", "/readyz"):
        assert (await node.http.get(path, headers=headers)).status_code == 200
    (*_, other) = (await node.http.get("/api/sessions?limit=4", headers=headers)).json()["sessions"]
    page = f"/api/sessions?limit=2&after={other['id']}"
    assert (await node.http.get(page, headers=headers)).status_code == 200
    once = {**headers, "Idempotency-Key": "k"}
    made = [await node.http.post("/api/notes", json={"text": "x"}, headers=once) for _ in "12"]
    assert [one.status_code for one in made] == [201, 201]
    note = made[0].json()["id"]
    await node.http.get(f"/api/notes?after={note}&q=x", headers=headers)
    edited = {"text": "y", "version": made[0].json()["version"]}
    await node.http.put(f"/api/notes/{note}", json=edited, headers=headers)
    assert (await node.http.delete(f"/api/notes/{note}", headers=headers)).status_code == 204
    assert (await node.http.delete(f"/api/sessions/{other['id']}", headers=headers)).is_success
    for password in ("wrong password", "wrong again", "and again", "and again"):
        await node.login(password=password)
    node.clock.advance(100)
    await node.refresh(tokens["refreshToken"])  # Reuse.
    signed_in = await node.sign_in("user7")
    body = {"refreshToken": signed_in["refreshToken"]}
    assert (await node.http.post("/api/logout", json=body)).status_code == 204
    again = bearer((await node.sign_in("user7"))["accessToken"])
    assert (await node.http.post("/api/logout-all", headers=again)).status_code == 204
    user = await service.users.find("user8")
    assert user is not None
    await service.sessions.set_password(user, "new")
    await service.sessions.disable(user)
    await sign_in_at_provider(service)
    await service.sessions.follow()
    own = KnownAddresses(service.database, has_own_users=True)
    assert await own.of("user9") == set()
    assert await service.users.page(limit=2)
    await service.users.set_scopes(user.id, {"orders:write"})


async def run_jobs(node: TestServer) -> None:
    """Do a part of what the background jobs do, for the rows are too many for all of it."""
    service: Service = node.app.state.service
    await service.sessions.follow()
    await claim(service.database, PURGE, node.clock(), 1)
    store = Store(service.database, policy_of(service.settings))
    await store._purge_events(START - (ROWS - 1500) * HASTE)  # noqa: SLF001
    await Notes(service.database).purge_keys(node.clock())
    purging = asyncio.create_task(store.purge_ended(node.clock() + 9 * DAY))
    query = "SELECT 1 FROM sessions HAVING count(*) <= 998000"
    async with asyncio.timeout(60):
        while not await rows(node.settings.database_url, query):
            await asyncio.sleep(0.05)
    purging.cancel()
    await asyncio.gather(purging, return_exceptions=True)


async def test_each_statement_reads_by_an_index_and_each_index_is_read(
    node: TestServer, large: str
) -> None:
    service: Service = node.app.state.service
    with Recorder(service.database) as recorder:
        await use_everything(node)
        await run_jobs(node)
    plans = await recorder.plans(large)
    scans = [
        (part["Relation Name"], part["Node Type"], statement)
        for statement, plan in plans.items()
        for part in parts(plan)
        if "Scan" in part["Node Type"] and part.get("Relation Name") in TABLES
    ]
    assert [one for one in scans if one[1] == "Seq Scan"] == []
    assert {table for table, _, _ in scans} == TABLES
    read = {part.get("Index Name") for plan in plans.values() for part in parts(plan)}
    query = (
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON oid = indrelid "
        "WHERE NOT indisunique AND relnamespace = 'public'::regnamespace"
    )
    there = {name for (name,) in await rows(large, query)}
    assert len(there) == 7
    assert there - read == set()
