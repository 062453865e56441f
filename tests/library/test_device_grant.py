"""The device grant: what a program asks for, what it shows, and when it asks again (RFC 8628)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.library.test_oidc_metadata import ISSUER, json_values
from tests.library.test_oidc_provider import provider
from tests.support.clock import FakeClock
from tests.support.fake_server import json_response
from unexpired import SignInFailed, Unreachable
from unexpired.messages import Headers, Request, Response
from unexpired.oidc.device import (
    MAX_EXPIRES_IN,
    MAX_INTERVAL,
    Device,
    DevicePrompt,
    Polling,
    read_device_response,
)
from unexpired.oidc.provider_server import ProviderServer

ENDPOINT = f"{ISSUER}/device"
NECESSARY = {"authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token"}
ADDRESSES = {**NECESSARY, "device_authorization_endpoint": ENDPOINT}
NOW = 1000.0
GOOD: dict[str, Any] = {
    "device_code": "the-secret-of-this-device",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://login.example/device",
    "verification_uri_complete": "https://login.example/device?user_code=WDJB-MJHT",
    "expires_in": 900,
    "interval": 7,
}
PENDING = "authorization_pending"


def read(status: int = 200, /, **changes: Any) -> Device:
    """Read a good response with some fields changed; None leaves a field out."""
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return read_device_response(json_response(status, fields), NOW)


def failure(status: int = 200, /, **changes: Any) -> SignInFailed:
    with pytest.raises(SignInFailed) as failed:
        read(status, **changes)
    assert GOOD["device_code"] not in f"{failed.value!r}{failed.value.__notes__}"
    return failed.value


# -- The request -----------------------------------------------------------------------------------


def request_at(**values: Any) -> Request:
    """Return the request of an application that is registered like this."""
    values = {"metadata": ADDRESSES, **values}
    return ProviderServer(provider(**values), FakeClock()).device_request()


def test_the_request_says_who_asks_for_what() -> None:
    request = request_at(
        client_id="notes app",
        scope="openid offline_access",
        audience="https://api.example",
        resource="https://api.example/v1",
        parameters={"organization": "org & co"},
        client_secret="not really",
    )
    assert (request.method, request.url) == ("POST", ENDPOINT)
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert isinstance(request.body, bytes)
    assert parse_qs(request.body.decode()) == {
        "client_id": ["notes app"],
        "client_secret": ["not really"],
        "scope": ["openid offline_access"],
        "audience": ["https://api.example"],
        "resource": ["https://api.example/v1"],
        "organization": ["org & co"],
    }


def test_what_is_not_asked_for_is_left_out_and_no_token_is_sent() -> None:
    request = request_at(client_id="notes", scope="openid", parameters={"organization": ""})
    assert request.body == b"scope=openid&client_id=notes"
    assert request.sensitive
    assert request.auth is False


def test_a_provider_without_the_grant() -> None:
    with pytest.raises(SignInFailed) as failed:
        request_at(metadata=NECESSARY)
    assert failed.value.code == "PROVIDER_MISMATCH"
    assert "device_authorization_endpoint" in failed.value.__notes__[0]


# -- The response ----------------------------------------------------------------------------------


def test_a_response_has_what_the_person_and_the_program_need() -> None:
    device = read()
    assert device.prompt == DevicePrompt(
        "WDJB-MJHT",
        "https://login.example/device",
        "https://login.example/device?user_code=WDJB-MJHT",
        900.0,
    )
    assert device.code == GOOD["device_code"]
    assert device.polling.interval == 7.0


def test_only_what_the_rfc_requires_is_required() -> None:
    device = read(verification_uri_complete=None, interval=None)
    assert device.prompt.verification_uri_complete == ""
    assert device.polling.interval == 5.0  # RFC 8628, section 3.2.


def test_google_s_name_for_the_address_is_known() -> None:
    device = read(verification_uri=None, verification_url="https://www.google.com/device")
    assert device.prompt.verification_uri == "https://www.google.com/device"


def test_a_provider_on_this_machine_may_use_http() -> None:
    assert read(verification_uri="http://127.0.0.1:4000/d").prompt.verification_uri


def test_no_repr_shows_a_code() -> None:
    device = read()
    shown = f"{device!r} {device.prompt!r} {device.polling!r}"
    assert GOOD["device_code"] not in shown
    assert GOOD["user_code"] not in shown


@pytest.mark.parametrize("field", ["device_code", "user_code", "verification_uri", "expires_in"])
@pytest.mark.parametrize("value", [None, "", [], {}, True, " "])
def test_a_response_without_a_field_that_is_required(field: str, value: object) -> None:
    failed = failure(**{field: value})
    assert failed.code in {"BAD_ANSWER", "PROVIDER_MISMATCH"}
    assert field in failed.__notes__[0]


@pytest.mark.parametrize("field", ["verification_uri", "verification_uri_complete"])
@pytest.mark.parametrize(
    "value",
    [
        "http://login.example/device",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "//login.example/device",
        "https://user@login.example/device",
        "https://login.example\\@evil.example/",
        "https://login.example/\u202ecod.exe",
        "https://login.example/\x1b[2J",
        "https://login.example/" + "a" * 2048,
        7,
    ],
)
def test_an_address_that_nobody_should_open(field: str, value: object) -> None:
    failed = failure(**{field: value})
    assert failed.code == "PROVIDER_MISMATCH"
    assert field in failed.__notes__[0]


@pytest.mark.parametrize("code", ["AB\x1b[2J", "AB\nCD", "AB\u202eCD", "\u200b", "A" * 65, 12345])
def test_a_code_that_would_deceive_or_could_not_be_typed(code: object) -> None:
    assert failure(user_code=code).code == "BAD_ANSWER"


@pytest.mark.parametrize("code", ["two\r\nlines", "ä", "a" * 1_000_000, 7])
def test_a_device_code_that_could_not_be_sent(code: object) -> None:
    assert failure(device_code=code).code == "BAD_ANSWER"


@pytest.mark.parametrize(
    ("given_seconds", "seconds"),
    [(900, 900.0), ("900", 900.0), (1.5, 1.5), (10**9, MAX_EXPIRES_IN), ("9" * 9, MAX_EXPIRES_IN)],
)
def test_the_end_is_bounded(given_seconds: object, seconds: float) -> None:
    device = read(expires_in=given_seconds)
    assert device.prompt.expires_in == seconds
    device.polling.after(PENDING, NOW + seconds - 0.001)
    with pytest.raises(SignInFailed):
        device.polling.after(PENDING, NOW + seconds)


@pytest.mark.parametrize(
    "seconds", [0, -1, 10**400, float("nan"), float("inf"), "-5", "1e3", "9" * 5000]
)
def test_an_end_that_is_none(seconds: object) -> None:
    assert failure(expires_in=seconds).code == "BAD_ANSWER"


@pytest.mark.parametrize(
    ("given_interval", "interval"),
    [
        (0, 5.0),
        (-3, 5.0),
        ("soon", 5.0),
        (True, 5.0),
        (0.001, 1.0),
        ("10", 10.0),
        (86_400, MAX_INTERVAL),
    ],
)
def test_the_interval_is_bounded(given_interval: object, interval: float) -> None:
    assert read(interval=given_interval).polling.interval == interval


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_an_outage_is_no_refusal(status: int) -> None:
    with pytest.raises(Unreachable):
        read(status, error="access_denied")


@pytest.mark.parametrize("status", [200, 302])
@pytest.mark.parametrize("content", [b"", b"<html>Sign in to this Wi-Fi</html>", b"[]", b"{}"])
def test_a_response_of_something_else_than_the_provider(status: int, content: bytes) -> None:
    with pytest.raises(Unreachable):
        read_device_response(Response(status, Headers(), content), NOW)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("unauthorized_client", "unauthorized_client"),
        ("Invalid_Scope", "invalid_scope"),
        ("<script>", "BAD_ANSWER"),
        (None, "BAD_ANSWER"),
        (7, "BAD_ANSWER"),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_has_the_provider_s_code(status: int, error: object, code: str) -> None:
    failed = failure(status, error=error)
    assert failed.code == code
    assert str(status) in failed.__notes__[0]


@given(st.dictionaries(st.sampled_from([*GOOD, "error"]), json_values), st.integers(200, 599))
def test_no_response_does_anything_else(changes: dict[str, Any], status: int) -> None:
    try:
        device = read_device_response(json_response(status, {**GOOD, **changes}), NOW)
    except (SignInFailed, Unreachable):
        return
    assert 200 <= status < 300
    assert device.prompt.user_code.isprintable()
    assert device.prompt.verification_uri.startswith(("https://", "http://"))
    assert 0 < device.prompt.expires_in <= MAX_EXPIRES_IN
    assert 1 <= device.polling.interval <= MAX_INTERVAL


# -- Polling ---------------------------------------------------------------------------------------


def test_pending_keeps_the_interval() -> None:
    polling = Polling(5.0, NOW + 900)
    assert [polling.after(PENDING, NOW) for _ in range(3)] == [5.0] * 3


def test_slow_down_adds_five_seconds_from_then_on() -> None:
    polling = Polling(5.0, NOW + 900)
    codes = [PENDING, "slow_down", PENDING, "slow_down", PENDING]
    assert [polling.after(code, NOW) for code in codes] == [5.0, 10.0, 10.0, 15.0, 15.0]
    assert polling.interval == 15.0


def test_each_outage_doubles_the_wait_and_a_response_ends_that() -> None:
    polling = Polling(5.0, NOW + 900)
    codes = [None, None, None, None, None, PENDING, None]
    waits = [polling.after(code, NOW) for code in codes]
    assert waits == [10.0, 20.0, 40.0, 60.0, 60.0, 5.0, 10.0]


def test_an_outage_never_shortens_what_the_provider_asked_for() -> None:
    polling = Polling(MAX_INTERVAL, NOW + 900)
    polling.after("slow_down", NOW)
    assert [polling.after(None, NOW) for _ in range(2000)] == [65.0] * 2000


@pytest.mark.parametrize("code", ["access_denied", "expired_token", "invalid_grant", "other"])
def test_any_other_code_ends_it(code: str) -> None:
    with pytest.raises(SignInFailed) as failed:
        Polling(5.0, NOW).after(code, NOW)
    assert failed.value.code == code


@pytest.mark.parametrize("code", [PENDING, "slow_down", None])
def test_it_ends_when_the_code_does(code: str | None) -> None:
    with pytest.raises(SignInFailed) as failed:
        Polling(5.0, NOW).after(code, NOW)
    assert failed.value.code == "SIGN_IN_TIMED_OUT"


def test_the_last_time_is_no_later_than_the_code_but_for_the_interval() -> None:
    """A person who signs in during the last outage is not missed."""
    polling = Polling(5.0, NOW + 20)
    polling.after(None, NOW)
    polling.after(None, NOW)
    assert polling.after(None, NOW + 7) == 13.0
    assert polling.after(None, NOW + 19) == 5.0


@given(
    st.floats(1, MAX_INTERVAL),
    st.lists(st.sampled_from([PENDING, "slow_down", None]), max_size=80),
)
def test_it_never_asks_more_often_than_it_may_and_always_ends(
    interval: float, codes: list[str | None]
) -> None:
    polling = Polling(interval, NOW + 600)
    now, least = NOW, interval
    for code in codes:
        try:
            wait = polling.after(code, now)
        except SignInFailed:
            assert now >= NOW + 600
            break
        least += 5 if code == "slow_down" else 0
        assert least <= wait <= max(least, MAX_INTERVAL)
        now += wait
    assert now <= NOW + 600 + least
