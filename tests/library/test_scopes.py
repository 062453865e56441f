"""``client.user`` and its scopes, which may change at each refresh."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.library.conftest import World
from tests.library.test_async_client import Page
from tests.library.test_dialect import signed_in, speaking
from tests.library.test_policy import finish, start
from tests.support.fake_server import API, error_response, json_response, make_token, token_fields
from unexpired import Dialect
from unexpired.session_record import Generation, Record, loads
from unexpired.token_response import Tokens

USER = {"id": 1, "username": "ada"}


def user_of(world: World) -> Any:
    assert world.session.record is not None
    return world.session.record.tokens.user


def sign_in(world: World, scope: str | None, **fields: Any) -> None:
    world.sign_in(accessToken=token(scope, 1), **fields)


def refresh(world: World, scope: str | None, **fields: Any) -> None:
    tokens = {"accessToken": token(scope, 2), "refreshToken": "rt1.2", **fields}
    world.renew(json_response(200, tokens))


def token(scope: str | None, n: int) -> str:
    claims: dict[str, Any] = {} if scope is None else {"scope": scope}
    return make_token(jti=str(n), **claims)


def test_a_sign_in_shows_the_scopes_that_the_server_lists(world: World) -> None:
    sign_in(world, "b a", user={**USER, "scopes": ["x"]})
    assert user_of(world) == {**USER, "scopes": ["x"]}


def test_a_user_without_scopes_gets_those_of_the_token(world: World) -> None:
    sign_in(world, "notes:write notes:read", user=USER)
    assert user_of(world) == {**USER, "scopes": ["notes:read", "notes:write"]}


@pytest.mark.parametrize(
    ("before", "after", "scopes"),
    [
        ("a", "b a", ["a", "b"]),
        ("a b", "b", ["b"]),
        ("a", None, []),
        ("a", "", []),
        (None, "a", ["a"]),
        (None, None, ["x"]),
    ],
)
def test_scopes_follow_the_refreshed_token(
    world: World, before: str | None, after: str | None, scopes: list[str]
) -> None:
    """Only where tokens have had scopes does one without them take them away."""
    sign_in(world, before, user={**USER, "scopes": ["x"]})
    refresh(world, after)
    assert user_of(world) == {**USER, "scopes": scopes}


def test_a_user_in_the_response_to_a_refresh_replaces_the_known_one(world: World) -> None:
    sign_in(world, "a", user={**USER, "scopes": ["a"]})
    refresh(world, "b", user={"id": 1, "username": "lovelace"})
    assert user_of(world) == {"id": 1, "username": "lovelace", "scopes": ["b"]}


@pytest.mark.parametrize("scope", [7, ["a"], {}, True])
def test_a_scope_that_is_no_text_is_none(world: World, scope: Any) -> None:
    sign_in(world, scope, user=USER)
    assert user_of(world) == USER


def test_without_a_user_scopes_make_none(world: World) -> None:
    sign_in(world, "a", user=None)
    refresh(world, "a b")
    assert user_of(world) is None


def test_an_opaque_token_changes_nothing(world: World) -> None:
    world.sign_in(accessToken="opaque", user={**USER, "scopes": ["a"]})
    world.renew(json_response(200, {"accessToken": "opaque2"}))
    assert user_of(world) == {**USER, "scopes": ["a"]}


async def test_another_tab_sees_the_changed_scopes() -> None:
    page = Page()
    other = page.open()
    await page.client.sign_in("ada", "pw")
    page.server.responses["/api/refresh"] = lambda _: json_response(
        200, {**token_fields(2), "accessToken": token("admin", 2), "user": None}
    )
    await page.client.refresh()
    other.wake()
    assert page.client.user == other.user == {**USER, "scopes": ["admin"]}


def test_a_record_of_an_earlier_version_is_read_without_scopes() -> None:
    """And one with scopes is read back as it was written."""
    tokens = Tokens("a1", "r1", expires_at=None, lifetime=None)
    old = json.loads(Record(Generation("s", 1), tokens).dumps())
    assert loads(json.dumps({**old, "user": USER})).tokens.user == USER
    new = {**USER, "scopes": ["a"]}
    assert loads(json.dumps({**old, "user": new})).tokens.user == new


DIALECTS = [
    Dialect(),
    Dialect.oauth(),
    Dialect.simplejwt(),
    Dialect.flask_jwt_extended(),
    Dialect.fastapi_users(),
    Dialect.article(),
]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_missing_scope_is_handed_back_untouched(dialect: Dialect, status: int) -> None:
    """RFC 6750, section 3.1: a new token would not have it either. 401 is the strict mode."""
    names = {"access_token": "a1", "refresh_token": "r1", "access": "a1", "refresh": "r1"}
    world = signed_in(speaking(dialect), **token_fields(), **names)
    challenge = 'Bearer error="insufficient_scope", scope="notes:write"'
    response = error_response(status, "FORBIDDEN", www_authenticate=challenge)
    flow = world.policy.call(world.get(f"{API}/api/notes"))
    start(flow)
    assert finish(flow, response) is response
    assert world.events() == ["signed_in"]
