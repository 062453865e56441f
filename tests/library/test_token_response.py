"""The times in a token response, and ``Retry-After``."""

from __future__ import annotations

import pytest

from tests.library.conftest import NOW
from tests.support.fake_server import json_response, make_token
from unexpired.messages import Headers, Response
from unexpired.token_response import parse_retry_after, parse_token_response


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "5"}, 5),
        ({"retry-after": " 5 "}, 5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "\u0665"}, None),
        ({"retry-after": "9" * 30}, 3600),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:07 GMT"}, 7),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0),
        (
            {
                "retry-after": "Fri, 15 Jan 2027 09:00:07 GMT",
                "date": "Fri, 15 Jan 2027 09:00:00 GMT",
            },
            7,
        ),
        ({"retry-after": "Fri, 15 Jan 99999999 08:00:07 GMT"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_retry_after(Response(503, Headers(headers)), NOW) == seconds


def test_a_small_skew_is_the_networks_delay() -> None:
    response = json_response(200, {"accessToken": make_token(NOW, 900)})
    tokens = parse_token_response(response, requested_at=NOW + 1, received_at=NOW + 3)
    assert tokens is not None
    assert (tokens.skew, tokens.expires_at) == (0, NOW + 900)


def test_a_large_skew_is_measured_at_the_middle_of_the_request() -> None:
    response = json_response(200, {"accessToken": make_token(NOW, 900)})
    tokens = parse_token_response(response, requested_at=NOW - 3604, received_at=NOW - 3600)
    assert tokens is not None
    assert (tokens.skew, tokens.expires_at, tokens.lifetime) == (3602, NOW - 3602 + 900, 900)


def test_a_new_token_that_seems_expired_means_that_our_clock_is_wrong() -> None:
    response = json_response(200, {"accessToken": make_token(NOW, 2)})
    tokens = parse_token_response(response, requested_at=NOW + 4, received_at=NOW + 4)
    assert tokens is not None
    assert tokens.expires_at == NOW + 6


@pytest.mark.parametrize(
    ("token", "expires_in", "end"),
    [
        ("opaque", 900, NOW + 900),
        ("opaque", "900", None),
        ("opaque", True, NOW + 1),
        ("opaque", -1, None),
        ("opaque", None, None),
    ],
)
def test_without_claims_expires_in_counts(
    token: str, expires_in: object, end: float | None
) -> None:
    response = json_response(200, {"accessToken": token, "expiresIn": expires_in})
    tokens = parse_token_response(response, requested_at=NOW, received_at=NOW)
    assert tokens is not None
    assert tokens.expires_at == end


def test_an_expiry_without_an_issue_time_counts_if_it_is_in_the_future() -> None:
    for exp, end in ((NOW + 60, NOW + 60), (NOW - 60, None)):
        token = make_token(NOW, 900, exp=int(exp), iat=None)
        tokens = parse_token_response(
            json_response(200, {"accessToken": token}), requested_at=NOW, received_at=NOW
        )
        assert tokens is not None
        assert tokens.expires_at == end
