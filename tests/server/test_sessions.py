"""The one owner of sessions: each operation, also while the database is down."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.server.harness import TestServer
from unexpired_server.errors import (
    BadCredentials,
    RefreshReused,
    SessionRevoked,
    Unavailable,
)
from unexpired_server.sessions.refresh_tokens import RefreshTokenClaims
from unexpired_server.sessions.revocations import Revocations
from unexpired_server.sessions.sessions import Sessions, SessionTokens
from unexpired_server.sessions.users import Account
from unexpired_server.storage.database import Database

STORES = ("sqlite", "postgres")

Outage = Callable[[], None]


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Outage:
    """Take the database down, until the test ends or calls ``monkeypatch.undo``."""

    async def unavailable(_database: Database, _start: object) -> Any:
        raise Unavailable

    return lambda: monkeypatch.setattr(Database, "_with_timeout", unavailable)


def claims_of(sessions: Sessions, tokens: SessionTokens) -> RefreshTokenClaims:
    claims = sessions.read_refresh_token(tokens.refresh_token or "")
    assert claims is not None
    return claims


async def test_an_opened_session_is_listed_and_its_tokens_work(
    node: TestServer, sessions: Sessions, ada: Account
) -> None:
    tokens = await sessions.open(ada, "phone", "192.0.2.1")
    (info,) = await sessions.live(ada.id)
    assert (info.device, info.address) == ("phone", "192.0.2.1")
    assert info.session.id == claims_of(sessions, tokens).session_id
    assert (await node.me(tokens.access_token)).status_code == 200
    assert tokens.access_token not in repr(tokens)
    assert str(tokens.refresh_token) not in repr(tokens)


async def test_a_disabled_user_gets_no_session(sessions: Sessions, ada: Account) -> None:
    await sessions.disable(ada)
    with pytest.raises(BadCredentials):
        await sessions.open(ada, "phone")
    assert await sessions.live(ada.id) == []


async def test_a_reused_token_ends_the_session_in_both_places(
    node: TestServer, sessions: Sessions, ada: Account
) -> None:
    tokens = await sessions.open(ada, "phone")
    claims = claims_of(sessions, tokens)
    await sessions.refresh(claims)
    node.clock.advance(31)
    with pytest.raises(RefreshReused):
        await sessions.refresh(claims)
    assert await code_of(node, tokens) == "SESSION_REVOKED"
    with pytest.raises(SessionRevoked):
        await sessions.refresh(claims)


async def test_a_revoked_session_ends_here_with_its_refusal(
    node: TestServer, sessions: Sessions, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another node's revocation takes effect with a refused refresh, before the next poll."""
    tokens = await sessions.open(ada, "phone")
    claims = claims_of(sessions, tokens)
    with monkeypatch.context() as patch:
        patch.setattr(Revocations, "add", lambda _self, _ids: None)
        assert await sessions.revoke(claims.session_id)
    assert (await node.me(tokens.access_token)).status_code == 200
    with pytest.raises(SessionRevoked):
        await sessions.refresh(claims)
    assert await code_of(node, tokens) == "SESSION_REVOKED"


async def test_only_the_owner_or_an_operator_revokes_by_id(
    node: TestServer, sessions: Sessions, ada: Account
) -> None:
    tokens = await sessions.open(ada, "phone")
    session_id = claims_of(sessions, tokens).session_id
    assert not await sessions.revoke(session_id, "somebody else")
    assert (await node.me(tokens.access_token)).status_code == 200
    assert await sessions.revoke(session_id, ada.id)
    assert await code_of(node, tokens) == "SESSION_REVOKED"
    assert not await sessions.revoke(session_id)


@pytest.mark.parametrize("ending", ["revoke_all", "set_password", "disable"])
async def test_each_ending_of_all_sessions_ends_all_at_once(
    node: TestServer, sessions: Sessions, ada: Account, ending: str
) -> None:
    tokens = [await sessions.open(ada, "phone") for _ in range(3)]
    await endings(sessions, ada)[ending]()
    assert await sessions.live(ada.id) == []
    assert {await code_of(node, one) for one in tokens} == {"SESSION_REVOKED"}


async def test_signing_out_ends_access_tokens_here_even_while_the_database_is_down(
    node: TestServer,
    sessions: Sessions,
    ada: Account,
    outage: Outage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = await sessions.open(ada, "phone")
    assert (await node.me(tokens.access_token)).status_code == 200
    outage()
    with pytest.raises(Unavailable):
        await sessions.sign_out(claims_of(sessions, tokens).session_id)
    assert await code_of(node, tokens) == "SESSION_REVOKED"
    monkeypatch.undo()
    await sessions.sign_out(claims_of(sessions, tokens).session_id)
    assert await sessions.live(ada.id) == []


@pytest.mark.parametrize("ending", ["revoke", "revoke_all", "set_password", "disable"])
async def test_every_other_ending_changes_nothing_while_the_database_is_down(
    node: TestServer, sessions: Sessions, ada: Account, outage: Outage, ending: str
) -> None:
    tokens = await sessions.open(ada, "phone")
    session_id = claims_of(sessions, tokens).session_id
    await node.me(tokens.access_token)
    outage()
    with pytest.raises(Unavailable):
        await endings(sessions, ada, session_id)[ending]()
    assert (await node.me(tokens.access_token)).status_code == 200


async def test_an_outage_costs_no_refresh_and_opens_nothing(
    sessions: Sessions, ada: Account, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = await sessions.open(ada, "phone")
    outage()
    with pytest.raises(Unavailable):
        await sessions.refresh(claims_of(sessions, tokens))
    with pytest.raises(Unavailable):
        await sessions.open(ada, "phone")
    monkeypatch.undo()
    assert (await sessions.refresh(claims_of(sessions, tokens))).refresh_token
    assert len(await sessions.live(ada.id)) == 1


def endings(
    sessions: Sessions, user: Account, session_id: str = ""
) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "revoke": lambda: sessions.revoke(session_id, user.id),
        "revoke_all": lambda: sessions.revoke_all(user.id),
        "set_password": lambda: sessions.set_password(user, "a new hash"),
        "disable": lambda: sessions.disable(user),
    }


async def code_of(node: TestServer, tokens: SessionTokens) -> str:
    code: str = (await node.me(tokens.access_token)).json()["code"]
    return code
