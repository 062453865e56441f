"""Reading a token's claims, and whether it expires soon."""

from __future__ import annotations

import base64
import json

import pytest

from tests.library.conftest import NOW
from tests.support.fake_server import make_token
from unexpired import claims, expires_at, is_expiring_soon


def _encoded(payload: str) -> str:
    body = base64.urlsafe_b64encode(payload.encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.c2ln"


def test_claims_are_read_without_a_key() -> None:
    assert claims(make_token())["sub"] == "1"


@pytest.mark.parametrize("token", ["", "a.b.c", "x" * 20_000, "é.é.é", "\ud800", _encoded("[]")])
def test_an_unreadable_token_raises_an_error_that_does_not_quote_it(token: str) -> None:
    with pytest.raises(ValueError, match=r"^not a readable token$"):
        claims(token)


def test_the_expiry_is_read_in_unix_seconds() -> None:
    assert expires_at(make_token(NOW, 900)) == NOW + 900


@pytest.mark.parametrize(
    "exp", ["true", '"1800000000"', "null", "[]", "NaN", "1e400", "-1", "1" + "0" * 400]
)
def test_an_unusable_expiry_is_none_and_counts_as_expiring(exp: str) -> None:
    token = _encoded(f'{{"exp": {exp}}}')
    assert expires_at(token) is None
    assert is_expiring_soon(token, now=0)


@pytest.mark.parametrize(("left", "soon"), [(61, False), (60, True), (59, True), (-1, True)])
def test_a_minute_is_soon(left: float, soon: bool) -> None:  # noqa: FBT001
    assert is_expiring_soon(make_token(NOW, 900), now=NOW + 900 - left) is soon


def test_the_buffer_is_in_seconds() -> None:
    token = make_token(NOW, 900)
    assert not is_expiring_soon(token, 5, now=NOW + 890)
    assert is_expiring_soon(token, buffer_seconds=15, now=NOW + 890)


def test_the_default_time_is_the_device_clock() -> None:
    assert is_expiring_soon(_encoded(json.dumps({"exp": 1})))
    assert not is_expiring_soon(_encoded(json.dumps({"exp": 9_999_999_999})))


def test_no_token_counts_as_expiring() -> None:
    assert is_expiring_soon(None)
