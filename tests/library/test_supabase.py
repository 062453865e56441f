"""The dialect of Supabase, with a project that behaves as its documentation says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.library.conftest import session_of
from tests.support.clock import FakeClock
from tests.support.fake_supabase import ADA, API_KEY, LIFE, PROJECT, FakeSupabase
from unexpired import (
    AsyncClient,
    BadCredentials,
    Dialect,
    Headers,
    SessionEnded,
    SessionExpired,
)


@pytest.fixture
def project() -> FakeSupabase:
    return FakeSupabase(FakeClock())


def client_of(project: FakeSupabase, **options: Any) -> AsyncClient:
    return AsyncClient(
        project,
        clock=project.clock,
        base_url=PROJECT,
        login_path="/auth/v1/token?grant_type=password",
        refresh_path="/auth/v1/token?grant_type=refresh_token",
        logout_path="/auth/v1/logout?scope=local",
        on_expired="event",
        dialect=Dialect.supabase(API_KEY),
        **{"headers": {"apikey": API_KEY}, **options},
    )


@pytest.fixture
async def client(project: FakeSupabase) -> AsyncClient:
    client = client_of(project)
    await client.sign_in("ada@example.org", "pw")
    return client


async def test_a_person_signs_in_with_an_email_address(
    project: FakeSupabase, client: AsyncClient
) -> None:
    (request,) = project.received
    assert request.url == f"{PROJECT}/auth/v1/token?grant_type=password"
    assert isinstance(request.body, bytes)
    assert json.loads(request.body) == {"email": "ada@example.org", "password": "pw"}
    assert client.user is not None
    assert client.user["email"] == ADA["email"]
    assert client.lifetime == LIFE


async def test_a_wrong_password_has_its_own_error(project: FakeSupabase) -> None:
    with pytest.raises(BadCredentials):
        await client_of(project).sign_in("ada@example.org", "wrong")


async def test_an_expired_token_is_refreshed_in_both_apis(
    project: FakeSupabase, client: AsyncClient
) -> None:
    for path in ("/rest/v1/notes", "/auth/v1/user"):
        project.clock.advance(LIFE)
        response = await client.get(path)
        assert response.status_code == 200, path
    assert project.used == {"s1.0", "s1.1"}


@pytest.mark.parametrize("path", ["/rest/v1/notes", "/auth/v1/user"])
async def test_a_token_that_only_the_server_calls_expired_is_refreshed(
    project: FakeSupabase, client: AsyncClient, path: str
) -> None:
    ahead = FakeClock(wall=project.clock.wall + LIFE)
    project.clock = ahead
    assert (await client.get(path)).status_code == 200
    assert project.used == {"s1.0"}


async def test_a_session_that_is_gone_ends(project: FakeSupabase, client: AsyncClient) -> None:
    project.sessions.clear()
    assert (await client.get("/rest/v1/notes")).status_code == 200  # Until the token expires.
    with pytest.raises(SessionEnded) as ended:
        await client.get("/auth/v1/user")
    assert ended.value.code == "SESSION_REVOKED"


@pytest.mark.parametrize("code", ["refresh_token_already_used", "refresh_token_not_found"])
async def test_a_refused_refresh_ends_the_session(
    project: FakeSupabase, client: AsyncClient, code: str
) -> None:
    project.sessions.clear()
    if code == "refresh_token_already_used":
        project.used.add("s1.0")
    project.clock.advance(LIFE)
    with pytest.raises(SessionExpired):
        await client.get("/rest/v1/notes")
    assert client.state == "expired"


async def test_signing_out_ends_this_session_by_its_access_token(
    project: FakeSupabase, client: AsyncClient
) -> None:
    await client_of(project).sign_in("ada@example.org", "pw")
    record = session_of(client).record
    assert record is not None
    await client.sign_out()
    request = project.received[-1]
    assert request.url == f"{PROJECT}/auth/v1/logout?scope=local"
    assert request.headers["authorization"] == f"Bearer {record.tokens.access_token}"
    assert request.body == b"{}"
    assert set(project.sessions) == {"s2"}


async def test_the_key_goes_only_where_tokens_are_asked_for(project: FakeSupabase) -> None:
    """The data want it as well: ``headers`` sends it everywhere."""
    client = client_of(project, headers=Headers())
    await client.sign_in("ada@example.org", "pw")
    response = await client.get("/rest/v1/notes")
    assert response.status_code == 401
    await client.sign_out()
    keys = [request.headers.get("apikey") for request in project.received]
    assert keys == [API_KEY, None, API_KEY, None, API_KEY]  # A refresh, and the call again.


def test_the_key_is_not_shown() -> None:
    assert API_KEY not in repr(Dialect.supabase(API_KEY))
