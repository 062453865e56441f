"""Scopes: their syntax, and what a route says to a user who lacks one."""

import copy
import json
from collections.abc import Callable
from operator import delitem, setitem

import pytest

from unexpired_server import Claims, Forbidden, SecondStepRequired, User
from unexpired_server.http.responses import error_response
from unexpired_server.scopes import InvalidScopeError, checked_scopes, join_scopes, split_scopes
from unexpired_server.tokens.read_only import read_only

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
