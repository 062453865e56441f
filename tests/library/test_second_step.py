"""Further fields of a sign-in, and responses that ask for a second step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.library.test_dialect import body, form, speaking
from tests.library.test_policy import finish, sent
from tests.support.fake_server import error_response, json_response, make_token, token_fields
from unexpired import (
    BadCredentials,
    BadReply,
    Dialect,
    RateLimited,
    Response,
    SecondStepRequired,
    UnexpiredError,
    Unreachable,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

HTML = Response(200, {"content-type": "text/html"}, b'{"looks": "like JSON"}')  # type: ignore[arg-type]


def failure_of(dialect: Dialect, response: Response) -> UnexpiredError:
    """Sign in with this response; return what is raised."""
    flow = speaking(dialect).policy.sign_in("s", "ada", "pw")
    next(flow)
    with pytest.raises(UnexpiredError) as raised:
        flow.send(response)
    return raised.value


def test_further_fields_go_into_the_json_body_as_they_are() -> None:
    flow = speaking(Dialect()).policy.sign_in("s", "ada", "pw", {"otp": "123456", "trust": [True]})
    assert body(sent(next(flow))) == {
        "username": "ada",
        "password": "pw",
        "otp": "123456",
        "trust": [True],
    }
    assert finish(flow, json_response(200, token_fields())) is None


def test_further_fields_go_into_the_form_as_texts() -> None:
    fields = {"otp": 123456, "trust": True, "scope": "notes:read notes:write"}
    flow = speaking(Dialect.oauth()).policy.sign_in("s", "ada", "pw", fields)
    assert form(sent(next(flow))) == {
        "grant_type": "password",
        "username": "ada",
        "password": "pw",
        "otp": "123456",
        "trust": "true",
        "scope": "notes:read notes:write",
    }


@pytest.mark.parametrize(
    ("dialect", "field"),
    [
        (Dialect(), "username"),
        (Dialect(username="email"), "email"),
        (Dialect.oauth(), "grant_type"),
        (Dialect.oauth("page"), "client_id"),
        (Dialect(login_fields={"realm": "staff"}), "realm"),
    ],
)
def test_a_field_of_the_dialects_own_cannot_be_given(dialect: Dialect, field: str) -> None:
    flow = speaking(dialect).policy.sign_in("s", "ada", "pw", {field: "secret"})
    with pytest.raises(TypeError, match=field) as refused:
        next(flow)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("dialect", "value"),
    [
        (Dialect(), {"secret"}),
        (Dialect(), float("nan")),
        (Dialect.oauth(), ["secret"]),
        (Dialect.oauth(), None),
    ],
)
def test_a_field_that_cannot_be_sent_is_named_without_its_value(
    dialect: Dialect, value: Any
) -> None:
    flow = speaking(dialect).policy.sign_in("s", "ada", "pw", {"otp": value})
    with pytest.raises(TypeError, match="otp") as refused:
        next(flow)
    assert "secret" not in str(refused.value)


STEP = {"mfaToken": "a-secret-token", "methods": ["totp"]}
OTP = Dialect(second_step=frozenset({"OTP"}))
OURS = "SECOND_STEP_REQUIRED"


@pytest.mark.parametrize(
    ("dialect", "response", "code"),
    [
        (Dialect(), json_response(200, STEP), None),
        (Dialect(), json_response(202, {**STEP, "accessToken": None}), None),
        (Dialect(), json_response(401, {**STEP, "code": OURS}), OURS),
        (Dialect(), json_response(403, {**STEP, "code": OURS}), OURS),
        (Dialect.oauth(), json_response(403, {**STEP, "error": "mfa_required"}), "mfa_required"),
        (Dialect.oauth(), json_response(400, {**STEP, "error": "mfa_required"}), "mfa_required"),
        (Dialect.simplejwt(), json_response(200, {**STEP, "ephemeral_token": "a"}), None),
        (Dialect.flask_jwt_extended(), json_response(200, STEP), None),
        (OTP, json_response(401, {**STEP, "code": "OTP"}), "OTP"),
    ],
)
def test_a_response_that_asks_for_a_second_step_is_an_error_that_carries_it(
    dialect: Dialect, response: Response, code: str | None
) -> None:
    """The application goes on with what is in it."""
    error = failure_of(dialect, response)
    assert isinstance(error, SecondStepRequired)
    assert error.fields == json.loads(response.content)
    assert error.response is not None
    assert (error.code, error.response.status_code) == (code, response.status_code)


def test_a_second_step_shows_no_value_of_the_response() -> None:
    """A token for the second step is a secret."""
    error = failure_of(Dialect(), json_response(200, STEP))
    notes = getattr(error, "__notes__", [])
    assert "a-secret-token" not in f"{error} {error!r} {notes} {error.response!r}"
    assert str(error) == "One more step is needed to sign in."


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (HTML, Unreachable),
        (Response(200, content=b"[]"), Unreachable),
        (Response(200, content=b"{}"), Unreachable),
        (Response(204), Unreachable),
        (json_response(200, {"accessToken": "line\nbreak"}), Unreachable),
        (error_response(429, "SECOND_STEP_REQUIRED"), RateLimited),
        (error_response(503, "SECOND_STEP_REQUIRED"), Unreachable),
        (error_response(401, "BAD_CREDENTIALS"), BadCredentials),
        (error_response(401, "mfa_required"), BadCredentials),
        (error_response(400, "BAD_REQUEST"), BadReply),
    ],
)
def test_what_asks_for_no_second_step_is_what_it_was(
    response: Response, kind: type[UnexpiredError]
) -> None:
    assert type(failure_of(Dialect(), response)) is kind


def test_a_second_step_leaves_the_session_that_was_there() -> None:
    world = speaking(Dialect())
    world.sign_in()
    flow = world.policy.sign_in("t", "ada", "pw")
    next(flow)
    with pytest.raises(SecondStepRequired):
        flow.send(json_response(200, STEP))
    assert world.session.record is not None
    assert world.session.record.generation.session == "s"


def test_the_second_sign_in_starts_the_session() -> None:
    world = speaking(Dialect())
    flow = world.policy.sign_in("s", "ada", "pw", {"otp": "123456", "mfaToken": "m"})
    next(flow)
    finish(flow, json_response(200, {"accessToken": make_token()}))
    assert world.events() == ["signed_in"]
