"""Scopes: their syntax, and what a route says to a user who lacks one."""

import asyncio
import copy
import json
from collections.abc import Callable
from operator import delitem, setitem
from typing import Any

import pytest
from click.testing import CliRunner

from tests.server.harness import TestServer
from tests.server.statements import observed
from tests.server.stores import rows
from unexpired_server import Claims, Forbidden, SecondStepRequired, Service, User
from unexpired_server.cli import main
from unexpired_server.http.responses import error_response
from unexpired_server.scopes import InvalidScopeError, checked_scopes, join_scopes, split_scopes
from unexpired_server.tokens.read_only import read_only

STORES = ("sqlite", "postgres")
GOOD = ["a", "orders:write", "!", "~", "[]", "a/b#c?d=e", "https://example.com/scope"]
BAD = ["", " ", "a b", 'a"b', "a\\b", "a\tb", "a\nb", "ä", "a\x7f", "a\x00"]


@pytest.mark.parametrize("scope", GOOD)
def test_a_scope_is_any_visible_ascii_without_quotes_and_backslashes(scope: str) -> None:
    assert checked_scopes([scope]) == {scope}


@pytest.mark.parametrize("scope", BAD)
def test_what_is_not_a_scope_is_refused_by_name(scope: str) -> None:
    with pytest.raises(InvalidScopeError, match="is not a scope"):
        checked_scopes([scope])


def test_one_text_in_place_of_a_set_is_refused_with_what_to_write() -> None:
    with pytest.raises(InvalidScopeError, match=r"write \{'orders'\}"):
        User("1", scopes="orders")  # type: ignore[arg-type]


def test_scopes_are_written_sorted() -> None:
    assert join_scopes({"b", "a"}) == "a b"
    assert split_scopes("a b") == {"a", "b"}
    assert split_scopes("") == frozenset()


def test_a_missing_scope_is_forbidden_with_a_challenge_that_names_it() -> None:
    response = error_response(Forbidden(scopes={"orders:write", "notes:read"}))
    assert response.status_code == 403
    assert json.loads(bytes(response.body))["code"] == "FORBIDDEN"
    assert response.headers["www-authenticate"] == (
        'Bearer realm="unexpired", error="insufficient_scope", '
        'error_description="You may not do this.", scope="notes:read orders:write"'
    )


@pytest.mark.parametrize("scope", ['a"', "a\r\nSet-Cookie: x=1", "a, b"])
def test_nothing_but_scopes_gets_into_the_challenge(scope: str) -> None:
    with pytest.raises(InvalidScopeError):
        Forbidden(scopes=[scope])


def test_a_message_of_the_applications_cannot_break_the_challenge() -> None:
    response = error_response(Forbidden('Not "yours" \u2013 \r\nSet-Cookie: x'))
    assert (
        'error_description="Not ?yours? ? ??Set-Cookie: x"' in response.headers["www-authenticate"]
    )


def test_a_second_step_is_asked_for_with_its_fields() -> None:
    response = error_response(SecondStepRequired(methods=["otp"], reasons={"new": True}))
    assert response.status_code == 401
    assert json.loads(bytes(response.body)) == {
        "error": "One more step is needed to sign in.",
        "code": "SECOND_STEP_REQUIRED",
        "methods": ["otp"],
        "reasons": {"new": True},
    }
    assert response.headers["www-authenticate"] == 'Bearer realm="unexpired"'
    assert response.headers["cache-control"] == "no-store"


def test_the_fields_of_a_second_step_never_show() -> None:
    failure = SecondStepRequired(challenge="secret-challenge")
    assert "secret-challenge" not in f"{failure!r} {failure}"


@pytest.mark.parametrize(
    "fields", [{"code": 1}, {"error": ""}, {"x": float("nan")}, {"x": object()}]
)
def test_fields_that_cannot_be_sent_are_refused_at_once(fields: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        SecondStepRequired(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("user_id", ["", "x" * 256, "a\nb"])
def test_an_id_that_no_token_could_carry_is_refused(user_id: str) -> None:
    with pytest.raises(ValueError, match=r"User\.id"):
        User(user_id)


def test_an_id_that_is_a_number_is_refused_with_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"write str\(id\)"):
        User(7)  # type: ignore[arg-type]


def test_claims_cannot_be_changed_and_a_copy_can() -> None:
    claims = read_only({"roles": ["a"], "deep": {"x": 1}})
    changes: list[Callable[[], object]] = [
        lambda: claims.update(roles=[]),
        lambda: claims.pop("roles"),
        lambda: setitem(claims, "x", 1),
        lambda: delitem(claims, "roles"),
        claims["deep"].clear,
    ]
    for change in changes:
        with pytest.raises(TypeError, match="change a copy"):
            change()
    assert json.loads(json.dumps(claims)) == {"roles": ["a"], "deep": {"x": 1}}
    mine = copy.deepcopy(claims)
    mine["deep"]["x"] = 2
    assert claims == {"roles": ("a",), "deep": {"x": 1}}


def test_claims_do_not_show_what_a_token_says() -> None:
    claims = Claims("ada", "1", frozenset({"a"}), {"email": "ada@example.com"})
    assert "example.com" not in repr(claims)
    assert "example.com" not in repr(User("ada", claims=claims.claims))


# -- Over HTTP -------------------------------------------------------------------------------------


async def give(node: TestServer, *arguments: str) -> str:
    """Run ``user scope``; return what it prints."""
    url = node.settings.database_url
    command = ["user", "scope", *arguments, "--database-url", url]
    result = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def claims_of(node: TestServer, tokens: dict[str, Any]) -> Claims:
    service: Service = node.app.state.service
    return service.access_tokens.verify(tokens["accessToken"])


async def test_a_user_without_scopes_has_an_empty_list_and_a_token_without_the_claim(
    node: TestServer,
) -> None:
    tokens = await node.sign_in()
    assert tokens["user"]["scopes"] == []
    assert (await node.me(tokens["accessToken"])).json()["scopes"] == []
    assert "scope" not in claims_of(node, tokens).claims


async def test_scopes_are_in_the_token_at_sign_in_and_in_what_is_said_of_the_user(
    node: TestServer,
) -> None:
    assert await give(node, "ada", "orders:write", "notes:read") == "notes:read orders:write"
    tokens = await node.sign_in()
    claims = claims_of(node, tokens)
    assert claims.claims["scope"] == "notes:read orders:write"
    assert claims.scopes == {"notes:read", "orders:write"}
    assert tokens["user"]["scopes"] == ["notes:read", "orders:write"]
    assert (await node.me(tokens["accessToken"])).json() == tokens["user"]


async def test_a_change_takes_effect_at_the_next_refresh_also_at_a_repeated_one(
    node: TestServer,
) -> None:
    tokens = await node.sign_in()
    await give(node, "ada", "a")
    first = await node.refreshed(tokens["refreshToken"], "x" * 22)
    assert claims_of(node, first).scopes == {"a"}
    await give(node, "ada", "b")
    again = await node.refreshed(tokens["refreshToken"], "x" * 22)
    assert again["refreshToken"] == first["refreshToken"]
    assert claims_of(node, again).scopes == {"b"}
    assert (await node.me(first["accessToken"])).json()["scopes"] == ["a"]
    await give(node, "ada", "--none")
    assert claims_of(node, await node.refreshed(first["refreshToken"])).scopes == frozenset()


async def test_scopes_survive_a_database_that_lost_data(node: TestServer) -> None:
    await give(node, "ada", "a")
    second = await node.refreshed((await node.sign_in())["refreshToken"])
    await rows(node.settings.database_url, "UPDATE sessions SET counter = 0, attempts = ''")
    rolled = await node.refreshed(second["refreshToken"])
    assert claims_of(node, rolled).scopes == {"a"}


async def test_the_scopes_of_a_user_are_nobody_elses(node: TestServer) -> None:
    await give(node, "ada", "a")
    tokens = await node.sign_in("bob")
    assert claims_of(node, await node.refreshed(tokens["refreshToken"])).scopes == frozenset()


async def test_reading_scopes_costs_a_refresh_no_statement(node: TestServer) -> None:
    tokens = await node.sign_in()
    seen: list[str] = []

    def note(statement: str, _parameters: Any) -> None:
        seen.append(statement.split(maxsplit=1)[0])

    with observed(node.app.state.service.database, note, is_of_groups=True):
        await node.refreshed(tokens["refreshToken"])
    assert [one for one in seen if one not in {"BEGIN", "COMMIT"}] == ["UPDATE"]


# -- The command -----------------------------------------------------------------------------------


async def test_the_command_sets_adds_removes_prints_and_lists(node: TestServer) -> None:
    assert await give(node, "ada") == "ada has no scopes."
    assert await give(node, "ada", "b", "a") == "a b"
    assert await give(node, "ada", "--add", "c", "--remove", "b") == "a c"
    assert await give(node, "ada", "--remove", "never-given") == "a c"
    assert await give(node, "Ada ") == "a c"
    listed = await asyncio.to_thread(
        CliRunner().invoke, main, ["user", "list", "--database-url", node.settings.database_url]
    )
    assert listed.output.splitlines() == ["ada  a c", "bob"]
    assert await give(node, "ada", "--none") == "ada has no scopes."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ada", "a b"), "'a b' is not a scope"),
        (("ada", "--add", ""), "'' is not a scope"),
        (("ada", 'a"'), "is not a scope"),
        (("ada", "a", "--add", "b"), "Give scopes to set, or --add and --remove, or --none."),
        (("ada", "--none", "--remove", "b"), "Give scopes to set, or --add"),
        (("ada", "x" * 1025), "at most 1024 characters together"),
        (("nobody", "a"), "There is no user nobody."),
    ],
)
async def test_the_command_says_what_is_wrong_and_changes_nothing(
    node: TestServer, arguments: tuple[str, ...], said: str
) -> None:
    command = ["user", "scope", *arguments, "--database-url", node.settings.database_url]
    result = await asyncio.to_thread(CliRunner().invoke, main, command)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert await rows(node.settings.database_url, "SELECT scopes FROM users") == [("",), ("",)]
