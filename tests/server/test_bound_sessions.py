"""Sessions that are bound to a key: who has only the refresh token has nothing."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection

from tests.server.harness import HASHER, TestServer
from tests.server.stores import rows
from tests.support.clock import FakeClock
from unexpired_server.cli import main
from unexpired_server.errors import InvalidProof, RefreshInvalid, SessionRevoked
from unexpired_server.service import Service
from unexpired_server.sessions.audit import Cause
from unexpired_server.sessions.refresh_tokens import RefreshTokenClaims
from unexpired_server.sessions.rules import Decision, SessionPolicy
from unexpired_server.sessions.sessions import Sessions, SessionTokens
from unexpired_server.sessions.store import RefreshOutcome, Store
from unexpired_server.sessions.user import User
from unexpired_server.sessions.users import Account, Users
from unexpired_server.settings import Settings
from unexpired_server.storage.database import Database

STORES = ("sqlite", "postgres")
POLICY = SessionPolicy(idle_ttl=1000, absolute_ttl=5000, grace=30)
KEY, ANOTHER_KEY = "k" * 43, "o" * 43


async def state_of(store: str) -> list[tuple[object, ...]]:
    return await rows(
        store, "SELECT counter, attempts, refreshed_at, revoked_at, address, jkt FROM sessions"
    )


def claims_of(sessions: Sessions, tokens: SessionTokens) -> RefreshTokenClaims:
    claims = sessions.read_refresh_token(tokens.refresh_token or "")
    assert claims is not None
    return claims


# -- The rows --------------------------------------------------------------------------------------


async def test_neither_an_early_nor_a_late_token_changes_anything_without_the_key(
    sessions: Sessions, ada: Account, node: TestServer, store: str
) -> None:
    """Not even reuse ends the session: else any thief could end it."""
    rows_of = sessions._store  # noqa: SLF001 - the node's own
    session = await rows_of.open_session(ada, "phone", node.clock(), "192.0.2.1", jkt=KEY)
    assert session is not None
    for counter in range(3):
        claims = RefreshTokenClaims(session.id, counter)
        await rows_of.refresh(claims, node.clock(), "192.0.2.1", "a" * 22, jkt=KEY)
    node.clock.advance(60)
    before = await state_of(store)
    for counter in (0, 1, 2, 3, 4, 10**9):
        claims = RefreshTokenClaims(session.id, counter)
        for attempt in (None, "a" * 22, "b" * 22):
            without = await rows_of.refresh(claims, node.clock(), "203.0.113.9", attempt)
            assert without.decision is Decision.NO_PROOF
            other = await rows_of.refresh(
                claims, node.clock(), "203.0.113.9", attempt, jkt=ANOTHER_KEY
            )
            assert other.decision is Decision.OTHER_KEY
    assert await state_of(store) == before
    right = await rows_of.refresh(RefreshTokenClaims(session.id, 3), node.clock(), None, jkt=KEY)
    assert right.decision is Decision.ROTATE


async def test_a_session_that_is_no_longer_asked_for_its_key_is_as_bound_as_before_afterwards(
    ada: Account, store: str
) -> None:
    database = Database(store)
    asking = Store(database, POLICY)
    trusting = Store(database, SessionPolicy(1000, 5000, grace=30, asks_for_proof=False))
    session = await asking.open_session(ada, "phone", 1, jkt=KEY)
    assert session is not None
    claims = [RefreshTokenClaims(session.id, counter) for counter in range(3)]
    assert [one.is_bound for one in await asking.live(2, ada.id)] == [True]
    assert (await trusting.refresh(claims[0], 2)).decision is Decision.ROTATE
    assert [one.is_bound for one in await trusting.live(2, ada.id)] == [False]
    assert (await asking.refresh(claims[1], 3)).decision is Decision.NO_PROOF
    assert (await asking.refresh(claims[1], 3, jkt=KEY)).decision is Decision.ROTATE
    assert (await trusting.refresh(claims[2], 4, jkt=ANOTHER_KEY)).decision is Decision.ROTATE
    await database.close()


@pytest.mark.parametrize("query", ["", "?pgbouncer=true"])
async def test_a_step_whose_result_was_lost_with_the_connection_is_not_taken_for_reuse(
    ada: Account, store: str, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the work runs again, its key is judged again, and its own step is recognised."""
    if query and "postgres" not in store:
        pytest.skip("only PostgreSQL has poolers")
    database = Database(store + query)
    rows_of = Store(database, SessionPolicy(1000, 5000, grace=0))
    session = await rows_of.open_session(ada, "phone", 1, jkt=KEY)
    assert session is not None
    grouped = Database.grouped

    async def twice(self: Database, work: Callable[[Connection], RefreshOutcome]) -> RefreshOutcome:
        await grouped(self, work)
        return await grouped(self, work)

    monkeypatch.setattr(Database, "grouped", twice)
    claims = RefreshTokenClaims(session.id, 0)
    assert (await rows_of.refresh(claims, 2)).decision is Decision.NO_PROOF
    assert (await rows_of.refresh(claims, 2, jkt=ANOTHER_KEY)).decision is Decision.OTHER_KEY
    outcome = await rows_of.refresh(claims, 2, jkt=KEY)
    assert outcome.decision is Decision.REPEAT
    assert outcome.session is not None
    assert (outcome.session.counter, outcome.session.revoked_at) == (1, None)
    await database.close()


async def test_of_many_with_and_without_the_key_at_once_one_steps(ada: Account, store: str) -> None:
    """A group commit has all of them in one transaction."""
    database = Database(store)
    rows_of = Store(database, POLICY)
    session = await rows_of.open_session(ada, "phone", 1, jkt=KEY)
    assert session is not None
    claims = RefreshTokenClaims(session.id, 0)
    keys = [None, ANOTHER_KEY, KEY] * 10
    outcomes = await asyncio.gather(*(rows_of.refresh(claims, 2, jkt=key) for key in keys))
    decisions = {
        key: [one.decision for one, given in zip(outcomes, keys, strict=True) if given == key]
        for key in (None, ANOTHER_KEY, KEY)
    }
    assert decisions[None] == [Decision.NO_PROOF] * 10
    assert decisions[ANOTHER_KEY] == [Decision.OTHER_KEY] * 10
    assert sorted(one.name for one in decisions[KEY]) == [*["REPEAT"] * 9, "ROTATE"]
    await database.close()


async def test_a_refused_proof_leaves_an_event_with_its_address_and_ends_nothing(
    sessions: Sessions, ada: Account, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    await sessions.open(ada, "phone", "192.0.2.1", jkt=KEY)
    ((session_id,),) = await rows(store, "SELECT id FROM sessions")
    await sessions.note_refused_proof(session_id, "203.0.113.9", has_proof=False)
    await sessions.note_refused_proof(session_id, "203.0.113.9", has_proof=True)
    query = "SELECT session_id, user_id, address, cause FROM events WHERE kind = '{}' ORDER BY id"
    assert await rows(store, query.format("refresh_proof_refused")) == [
        (session_id, ada.id, "203.0.113.9", Cause.NO_PROOF),
        (session_id, ada.id, "203.0.113.9", Cause.OTHER_KEY),
    ]
    logged = [one for one in caplog.records if one.message == "audit: refresh_proof_refused"]
    assert {one.levelname for one in logged} == {"WARNING"}
    assert len(logged) == 2
    assert KEY not in caplog.text


def test_operators_see_which_sessions_are_bound_and_none_is_where_no_key_is_asked_for(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def open_two() -> None:
        database = Database(store)
        rows_of, ada = Store(database, POLICY), await Users(database).find("ada")
        assert ada is not None
        for device, jkt in (("phone", KEY), ("script", None)):
            await rows_of.open_session(ada, device, time.time(), jkt=jkt)
        await database.close()

    def listed() -> dict[str, str]:
        result = CliRunner().invoke(main, ["session", "list", "--database-url", store])
        assert result.exit_code == 0, result.output
        lines = [line.split() for line in result.stdout.splitlines()]
        return {device: bound for _, _, bound, _, device in lines}

    asyncio.run(open_two())
    assert listed() == {"phone": "bound", "script": "-"}
    monkeypatch.setenv("UNEXPIRED_DPOP", "off")
    assert listed() == {"phone": "-", "script": "-"}


# -- Users of the application's own ----------------------------------------------------------------


class Members:
    """An application's users, of whom one has gone; it notes who was looked for."""

    def __init__(self) -> None:
        self.looked_for: list[str] = []

    async def authenticate(self, username: str, password: str) -> User | None:  # noqa: ARG002
        return None

    async def find(self, user_id: str) -> User | None:
        self.looked_for.append(user_id)
        return None


async def test_who_lacks_the_key_asks_the_application_nothing_and_ends_nothing(
    make_settings: Callable[..., Settings], clock: FakeClock
) -> None:
    """The application would say that the user has gone, and the session would end."""
    members = Members()
    service = Service(make_settings(), users=members, now=clock, hasher=HASHER)
    async with service.running():
        sessions = service.sessions
        tokens = await sessions.open(User("7"), "phone", jkt=KEY)
        claims = claims_of(sessions, tokens)
        with pytest.raises(InvalidProof):
            await sessions.refresh(claims)
        with pytest.raises(RefreshInvalid):
            await sessions.refresh(claims, jkt=ANOTHER_KEY)
        assert members.looked_for == []
        assert len(await sessions.live("7")) == 1
        with pytest.raises(SessionRevoked):
            await sessions.refresh(claims, jkt=KEY)
        assert members.looked_for == ["7"]


async def test_who_lacks_the_key_does_not_run_the_claims_hook(
    make_settings: Callable[..., Settings], clock: FakeClock
) -> None:
    asked: list[str] = []

    def claims_hook(user: User) -> dict[str, Any]:
        asked.append(user.username)
        return {"plan": "gold"}

    service = Service(make_settings(), claims=claims_hook, now=clock, hasher=HASHER)
    async with service.running():
        sessions, ada = service.sessions, await service.users.find("ada")
        assert ada is not None
        tokens = await sessions.open(ada, "phone", jkt=KEY)
        claims = claims_of(sessions, tokens)
        with pytest.raises(InvalidProof):
            await sessions.refresh(claims)
        assert asked == ["ada"]
        renewed = await sessions.refresh(claims, jkt=KEY)
        assert asked == ["ada", "ada"]
        assert renewed.is_bound
