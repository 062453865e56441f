"""Tokens that come from elsewhere, and the token for the code of others."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from tests.library.conftest import NOW, session_of
from tests.library.test_async_client import Page
from tests.library.test_sync_client import Program
from tests.support.fake_server import error_response, json_response, make_token, token_fields
from unexpired import (
    AsyncClient,
    BadReply,
    Client,
    Dialect,
    NotSignedIn,
    Response,
    SessionExpired,
    Unreachable,
)
from unexpired.base_client import RequestMethods


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def program() -> Program:
    return Program()


# -- adopt -----------------------------------------------------------------------------------------


async def test_the_response_to_a_sign_up_starts_a_session(page: Page) -> None:
    page.server.responses["/api/signup"] = page.server.issue
    await page.client.adopt(
        await page.client.post("/api/signup", json={"username": "ada"}, auth=False)
    )
    assert page.client.state == "active"
    assert page.client.user == {"id": 1, "username": "ada"}
    assert page.events == [("signed_in",)]
    assert (await page.client.get("/api/notes")).status_code == 200


def test_the_sync_client_adopts_as_well(program: Program) -> None:
    program.client.adopt(json_response(201, token_fields()))
    assert program.client.state == "active"
    assert program.events == [("signed_in",)]


OAUTH = {"access_token": make_token(), "refresh_token": "r1", "expires_in": 900}


@pytest.mark.parametrize(
    ("dialect", "tokens"),
    [
        (Dialect(), token_fields()),
        (Dialect.oauth(), OAUTH),
        (Dialect.oauth(), token_fields()),
        (Dialect.simplejwt(), {"access": make_token(), "refresh": "r1"}),
        (Dialect(access_token="d.t", refresh_token="d.r"), {"d": {"t": make_token(), "r": "r1"}}),
    ],
)
async def test_a_mapping_is_in_the_dialects_names_or_in_ours(
    page: Page, dialect: Dialect, tokens: dict[str, Any]
) -> None:
    client = page.open(dialect=dialect)
    await client.adopt(tokens)
    record = session_of(client).record
    assert record is not None
    assert record.can_renew
    assert client.expires_in == 900


async def test_a_session_that_was_there_is_replaced_and_ended_at_the_server(page: Page) -> None:
    await page.client.sign_in("ada", "pw")
    await page.client.adopt(token_fields(7))
    while not page.server.count("/api/logout"):
        await asyncio.sleep(0)
    assert page.names() == ["signed_in", "signed_in"]
    ended = page.server.received[-1].body
    assert isinstance(ended, bytes)
    assert json.loads(ended) == {"refreshToken": "rt1.1"}


def test_the_sync_client_ends_the_session_that_was_there(program: Program) -> None:
    program.client.sign_in("ada", "pw")
    program.client.adopt(token_fields(7))
    assert program.server.count("/api/logout") == 1


async def test_another_tab_takes_an_adopted_session_over(page: Page) -> None:
    other = page.open()
    await page.client.adopt(token_fields())
    other.wake()
    assert other.user == {"id": 1, "username": "ada"}


async def test_the_skew_of_an_adopted_token_is_known(page: Page) -> None:
    page.clock.wall = NOW + 3600
    await page.client.adopt(token_fields(now=NOW))
    assert page.client.diagnose()["skew"] == pytest.approx(-3600)


USELESS: list[dict[str, Any]] = [
    {},
    {"refreshToken": "a-secret"},
    {"accessToken": "a-secret\n"},
    {"access_token": "a-secret"},
    {"token": "a-secret"},
]


@pytest.mark.parametrize("tokens", USELESS)
async def test_a_mapping_without_a_usable_token_is_refused_and_not_quoted(
    page: Page, tokens: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="accessToken") as refused:
        await page.client.adopt(tokens)
    assert "a-secret" not in str(refused.value)
    assert page.client.state == "anonymous"


@pytest.mark.parametrize("tokens", USELESS)
async def test_a_response_without_a_usable_token_is_refused(
    page: Page, tokens: dict[str, Any]
) -> None:
    with pytest.raises(BadReply) as refused:
        await page.client.adopt(json_response(200, tokens))
    assert refused.value.status_code == 200
    assert "a-secret" not in f"{refused.value!r} {refused.value.__notes__}"


async def test_a_refused_sign_up_starts_no_session(page: Page) -> None:
    """Its error has the server's message and code."""
    with pytest.raises(BadReply, match="A message") as refused:
        await page.client.adopt(error_response(409, "USERNAME_TAKEN"))
    assert (refused.value.status_code, refused.value.code) == (409, "USERNAME_TAKEN")
    with pytest.raises(BadReply):
        await page.client.adopt(json_response(400, token_fields()))


@pytest.mark.parametrize("wrong", ["a-secret", None, b"a-secret", SimpleNamespace(status_code=200)])
async def test_anything_else_is_a_type_error(page: Page, wrong: Any) -> None:
    with pytest.raises(TypeError, match="Response of this library, or a mapping") as refused:
        await page.client.adopt(wrong)
    assert "a-secret" not in str(refused.value)


async def test_a_mapping_with_a_value_that_is_not_of_json_is_refused(page: Page) -> None:
    with pytest.raises(ValueError, match="not of JSON"):
        await page.client.adopt({**token_fields(), "user": {"since": object()}})


def test_a_worker_has_neither_adopt_nor_token() -> None:
    """The session stays in the page."""
    assert not {"adopt", "token"} & set(dir(RequestMethods))
    assert {"adopt", "token"} <= set(dir(AsyncClient)) & set(dir(Client))


# -- token -----------------------------------------------------------------------------------------


async def test_a_token_that_is_not_due_is_returned_at_once(page: Page) -> None:
    await page.client.sign_in("ada", "pw")
    assert await page.client.token() == make_token(jti="1")
    assert page.server.count("/api/refresh") == 0


async def test_tokens_and_requests_share_one_refresh(page: Page) -> None:
    await page.client.sign_in("ada", "pw")
    page.clock.advance(850)
    first, response, second = await asyncio.gather(
        page.client.token(), page.client.get("/api/notes"), page.client.token()
    )
    assert first == second == make_token(page.clock.wall, jti="2")
    assert response.status_code == 200
    assert page.server.count("/api/refresh") == 1


def test_the_sync_client_refreshes_a_token_that_is_due(program: Program) -> None:
    program.client.sign_in("ada", "pw")
    program.clock.advance(850)
    assert program.client.token() == make_token(program.clock.wall, jti="2")


async def test_without_a_session_a_token_redirects_as_a_request_does(page: Page) -> None:
    with pytest.raises(NotSignedIn):
        await page.client.token()
    assert len(page.navigator.redirects) == 1


def test_the_sync_client_redirects_for_a_token_as_well(program: Program) -> None:
    with pytest.raises(NotSignedIn):
        program.client.token()
    assert len(program.navigator.redirects) == 1


async def test_a_token_that_cannot_be_refreshed_now_is_unreachable(page: Page) -> None:
    client = page.open(refresh_timeout=0.05)
    await client.sign_in("ada", "pw")
    page.clock.advance(901)
    page.server.responses["/api/refresh"] = lambda _: Response(503)
    with pytest.raises(Unreachable):
        await client.token()
    assert client.state == "degraded"


async def test_a_refused_refresh_ends_the_session_for_a_token_too(page: Page) -> None:
    await page.client.sign_in("ada", "pw")
    page.clock.advance(901)
    page.server.responses["/api/refresh"] = lambda _: error_response(401, "REFRESH_EXPIRED")
    with pytest.raises(SessionExpired):
        await page.client.token()
    assert page.names()[-1] == "expired"
