"""Response bodies: their names and values as programs read them, and as OpenAPI describes them."""

import json
from typing import Any

import pytest
from jsonschema_rs import validator_for

from tests.server.harness import TestServer, bearer
from unexpired_server.errors import (
    BadRequest,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    Unavailable,
)
from unexpired_server.http.failure_response import failure_response
from unexpired_server.http.models import ErrorOut
from unexpired_server.http.responses import error_response
from unexpired_server.http.routes.account import SessionListOut, SessionOut, UserOut
from unexpired_server.http.routes.authentication import SignedInOut, TokensOut

SESSION = SessionOut(
    id="a",
    device="b",
    address=None,
    created_at="c",
    refreshed_at="d",
    expires_at="e",
    current=True,
    bound=False,
)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (
            UserOut(id="1", username="Zoë \u2028\x01", scopes=[]),
            '{"id":"1","username":"Zoë \u2028\\u0001","scopes":[]}',
        ),
        (
            TokensOut(access_token="a", token_type="Bearer", expires_in=1),
            '{"accessToken":"a","tokenType":"Bearer","expiresIn":1}',
        ),
        (
            TokensOut(access_token="a", token_type="Bearer", expires_in=1, bound=True, nonce="n"),
            '{"accessToken":"a","tokenType":"Bearer","expiresIn":1,"bound":true,"nonce":"n"}',
        ),
        (
            SignedInOut(
                access_token="a",
                token_type="Bearer",
                expires_in=1,
                refresh_token="r",
                refresh_expires_in=2,
                user=UserOut(id="1", username="ada", scopes=["a"]),
            ),
            (
                '{"accessToken":"a","tokenType":"Bearer","expiresIn":1,"refreshToken":"r",'
                '"refreshExpiresIn":2,"user":{"id":"1","username":"ada","scopes":["a"]}}'
            ),
        ),
        (
            SessionListOut(sessions=[SESSION]),
            (
                '{"sessions":[{"id":"a","device":"b","address":null,"createdAt":"c",'
                '"refreshedAt":"d","expiresAt":"e","current":true,"bound":false}]}'
            ),
        ),
        (ErrorOut(error="e", code="C"), '{"error":"e","code":"C"}'),
    ],
)
def test_a_body_has_the_names_and_the_order_that_programs_read(model: Any, text: str) -> None:
    assert model.to_json().decode() == text
    assert json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")) == text


def test_an_error_has_a_code_a_sentence_and_where_known_the_expiry() -> None:
    bodies = [
        json.loads(bytes(error_response(one).body)) for one in (BadRequest("No."), TokenExpired(0))
    ]
    assert bodies[0] == {"error": "No.", "code": "BAD_REQUEST"}
    assert bodies[1]["expiredAt"] == "1970-01-01T00:00:00Z"


async def test_every_response_fits_the_schema_that_the_document_gives_it(node: TestServer) -> None:
    document = (await node.http.get("/openapi.json")).json()
    signed_in = await node.login()
    token = signed_in.json()["accessToken"]
    responses = {
        ("/api/login", "post"): signed_in,
        ("/api/refresh", "post"): await node.refresh(signed_in.json()["refreshToken"]),
        ("/api/notes", "post"): await node.http.post(
            "/api/notes", json={"text": "x"}, headers=bearer(token)
        ),
        **{
            (path, "get"): await node.http.get(path, headers=bearer(token))
            for path, calls in document["paths"].items()
            if "get" in calls
        },
    }
    for (path, method), response in responses.items():
        described = document["paths"][path][method]["responses"][str(response.status_code)]
        schema = described["content"]["application/json"]["schema"]
        validator_for({**schema, "components": document["components"]}).validate(response.json())


def test_a_failure_for_other_frameworks_is_what_our_own_routes_answer() -> None:
    failures = [TokenExpired(0), TokenInvalid(), TokenMissing(), Unavailable(7)]
    for failure in failures:
        for strict in (False, True):
            answer = failure_response(failure, strict=strict)
            ours = error_response(failure, strict=strict)
            assert (answer.body, answer.status) == (ours.body, ours.status_code)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            assert headers == {k: v for k, v in ours.headers.items() if k != "content-length"}
            assert headers["content-type"] == "application/json"
    assert failure_response(TokenInvalid(), strict=True).status == 401
    assert failure_response(failures[0]).headers["WWW-Authenticate"].startswith("Bearer ")
