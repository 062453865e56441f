"""The times in a token response, and ``Retry-After``."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.library.conftest import NOW
from tests.support.fake_server import json_response, make_token
from unexpired.messages import Headers, Response
from unexpired.session_record import Generation, Record, loads
from unexpired.token_response import (
    MAX_SECONDS,
    finite_seconds,
    parse_retry_after,
    parse_token_response,
)


@pytest.fixture(autouse=True)
def own_zone() -> Iterator[None]:
    """Return to this machine's time zone, once monkeypatch has."""
    yield
    if hasattr(time, "tzset"):
        time.tzset()


# Neither an instant nor a lifetime, whatever JSON allows.
NO_SECONDS: tuple[object, ...] = (
    *(True, False, -1, -1e-9, 1e300, 1e999, -1e999, float("nan"), 10**300, int("9" * 400)),
    *("", "-1", "1e999", "nan", "inf", "9" * 400, "9" * 5000, "1_0", "\u0665", " 5", "5 s"),
    *(None, {}, [], [5], MAX_SECONDS + 1),
)


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
        ({"retry-after": "Fri Jan 15 08:00:30 2027"}, 30),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 -0000"}, 30),
        ({"retry-after": "Friday, 15-Jan-27 08:00:30 GMT"}, 30),
        (
            {"retry-after": "Fri Jan 15 08:00:30 2027", "date": "Fri Jan 15 08:00:20 2027"},
            10,
        ),
        ({"retry-after": "30", "date": "Fri Jan 15 08:00:20 2027"}, 30),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_retry_after_is_seconds_or_a_date(
    monkeypatch: pytest.MonkeyPatch, zone: str, headers: dict[str, str], seconds: float | None
) -> None:
    """A date without a zone is UTC (RFC 9110, section 5.6.7), wherever the device is."""
    monkeypatch.setenv("TZ", zone)
    if hasattr(time, "tzset"):
        time.tzset()
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
        ("opaque", "900", NOW + 900),
        ("opaque", "0.5", NOW + 0.5),
        *(("opaque", wrong, None) for wrong in NO_SECONDS),
        *(("opaque", never, None) for never in (0, "0", MAX_SECONDS)),
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


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *((good, float(good)) for good in (0, 900, 0.5, MAX_SECONDS)),
        *((wrong, None) for wrong in NO_SECONDS),
    ],
)
def test_seconds_from_outside_are_finite_and_in_range(value: object, seconds: float | None) -> None:
    assert finite_seconds(value) == seconds


@pytest.mark.parametrize("expires_in", [None, 900])
@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 10**300},
        {"exp": 10**300, "iat": 10**299},
        {"exp": float("inf")},
        {"exp": float("nan"), "iat": float("nan")},
        {"iat": -(10**12)},
        {"exp": MAX_SECONDS, "iat": 0},
        {"exp": MAX_SECONDS, "iat": MAX_SECONDS - 900},
        {"exp": 1, "iat": 0},
    ],
)
def test_whatever_a_token_claims_its_times_can_be_stored(
    claims: dict[str, float], expires_in: float | None
) -> None:
    fields = {"accessToken": make_token(NOW, 900, **claims), "expiresIn": expires_in}
    tokens = parse_token_response(json_response(200, fields), requested_at=NOW, received_at=NOW)
    assert tokens is not None
    for value in (tokens.expires_at, tokens.lifetime):
        assert value is None or finite_seconds(value) == value
    assert abs(tokens.skew) <= MAX_SECONDS
    record = Record(Generation("s", 1), tokens)
    assert loads(record.dumps()).tokens == tokens


@pytest.mark.parametrize("skew", [0, 3600, -3600])
def test_an_old_issue_time_is_no_skew_where_expires_in_says_what_is_left(skew: float) -> None:
    """A server may hand out a token that it made long ago."""
    token = make_token(NOW - 800 + skew, 900)
    tokens = parse_token_response(
        json_response(200, {"accessToken": token, "expiresIn": "100"}),
        requested_at=NOW - 1,
        received_at=NOW + 1,
    )
    assert tokens is not None
    assert (tokens.expires_at, tokens.lifetime, tokens.skew) == (NOW + 100, 100, skew)


def test_an_expires_in_that_counts_the_networks_delay_contradicts_nothing() -> None:
    fields = {"accessToken": make_token(NOW, 900), "expiresIn": 898}
    tokens = parse_token_response(json_response(200, fields), requested_at=NOW, received_at=NOW)
    assert tokens is not None
    assert (tokens.expires_at, tokens.lifetime) == (NOW + 900, 900)


@pytest.mark.parametrize(
    "token", ["", "a\nb", " a", "a ", "\x7f", "Łukasz", "é", "\ud800", "a" * 20_000], ids=ascii
)
@pytest.mark.parametrize("name", ["accessToken", "refreshToken"])
def test_a_token_that_cannot_be_sent_makes_the_response_unusable(name: str, token: str) -> None:
    fields = {"accessToken": make_token(NOW, 900), "refreshToken": "rt1.1", name: token}
    tokens = parse_token_response(json_response(200, fields), requested_at=NOW, received_at=NOW)
    is_absent = name == "refreshToken" and not token  # As where there are no refresh tokens.
    assert tokens is None or is_absent


@pytest.mark.parametrize("user", [{}, [], "ada", {"a": float("nan")}, {"a": [10**400]}], ids=str)
def test_a_user_who_could_not_be_stored_and_read_again_is_none(user: object) -> None:
    fields = {"accessToken": make_token(NOW, 900), "user": user}
    tokens = parse_token_response(json_response(200, fields), requested_at=NOW, received_at=NOW)
    assert tokens is not None
    assert tokens.user is None
