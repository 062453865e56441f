"""Each ready dialect with the package that it is named after, in every way that one refuses."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.contract.real_servers import (
    PASSWORD,
    PEER,
    SECRET,
    Damage,
    Device,
    RealServer,
    expired,
    forged,
    malformed,
)
from unexpired import (
    BadCredentials,
    BadReply,
    SessionEnded,
    SessionExpired,
    UnexpiredError,
    Unreachable,
)

LONG_AGO = 1.0
WITH_REFRESH = [name for name in PEER if name != "fastapi_users"]
WITH_JWT_REFRESH = [name for name, peer in PEER.items() if peer.refresh_secret]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, RealServer]]:
    """The servers that were needed so far."""
    running: dict[str, RealServer] = {}
    yield running
    for server in running.values():
        server.stop()


@pytest.fixture
def device(request: pytest.FixtureRequest, servers: dict[str, RealServer]) -> Device:
    """A device on which ada is signed in to the server that the test names."""
    name = request.param
    if name not in servers:
        servers[name] = RealServer(PEER[name])
    servers[name].change("reset")
    device = Device(servers[name])
    device.sign_in()
    return device


def for_each(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("device", names, indirect=True)


def assert_over(device: Device, error: UnexpiredError) -> None:
    """The session has ended once and for all, with a message for people."""
    assert str(error).endswith(". Please log in again.")
    assert (device.client.state, device.store.load()) == ("expired", None)


# -- Sign-in ---------------------------------------------------------------------------------------


@for_each(*PEER)
def test_a_sign_in_is_good_for_calls(device: Device) -> None:
    response = device.client.get("/me")
    assert response.status_code == 200, response.text
    assert device.client.state == "active"
    assert 0 < (device.client.expires_in or 0) <= 900
    assert device.record.can_renew is (device.server.peer.options["dialect"].refresh_token != "")


@for_each(*PEER)
def test_a_wrong_password_raises_bad_credentials(device: Device) -> None:
    for password in (PASSWORD + "!", "\u2028 &=+%", "x" * 300):
        with pytest.raises(BadCredentials):
            Device(device.server).sign_in(password)


@for_each(*PEER)
def test_a_disabled_user_cannot_sign_in(device: Device) -> None:
    device.server.change("disable")
    with pytest.raises(BadCredentials):
        Device(device.server).sign_in()


@for_each("fastapi_users")
def test_a_user_who_is_not_verified_is_no_wrong_password(device: Device) -> None:
    device.server.change("unverify")
    with pytest.raises(BadReply) as failed:
        Device(device.server).sign_in()
    assert (failed.value.status_code, failed.value.code) == (400, "LOGIN_USER_NOT_VERIFIED")
    assert str(failed.value) == BadReply.message


# -- Access tokens ---------------------------------------------------------------------------------


@for_each(*WITH_JWT_REFRESH)
def test_an_expired_access_token_costs_one_refresh(device: Device) -> None:
    token = device.record.tokens.access_token
    device.change(access_token=expired(token, SECRET))
    assert device.client.get("/me").status_code == 200
    assert [status for _, status in device.transport.calls] == [401, 200, 200]
    assert device.client.get("/me").status_code == 200
    assert len(device.transport.calls) == 4


@for_each("oidc_provider")
def test_an_expired_access_token_of_oidc_provider_costs_one_refresh(device: Device) -> None:
    device.server.change("short")
    device.sign_in()
    time.sleep(1.1)
    device.server.change("reset")
    device.change(expires_at=time.time() + 60)
    assert device.client.get("/me").status_code == 200
    assert [status for _, status in device.transport.calls] == [401, 200, 200]


@for_each("fastapi_users")
@pytest.mark.parametrize("damage", [expired, forged, malformed])
def test_a_refused_token_of_fastapi_users_ends_the_session(device: Device, damage: Damage) -> None:
    device.change(access_token=damage(device.record.tokens.access_token, SECRET))
    with pytest.raises(SessionExpired) as error:
        device.client.get("/me")
    assert_over(device, error.value)


@pytest.mark.parametrize("damage", [forged, malformed])
@pytest.mark.parametrize(
    ("device", "statuses"),
    [
        ("simplejwt", [401, 200, 200]),
        ("flask_jwt_extended", [422]),  # It says that this is no token of its; handed back.
        ("oidc_provider", [401, 200, 200]),
    ],
    indirect=["device"],
)
def test_a_damaged_access_token_does_not_end_a_session_that_can_be_refreshed(
    device: Device, damage: Damage, statuses: list[int]
) -> None:
    token = device.record.tokens.access_token
    is_jwt = token.count(".") == 2
    device.change(access_token=damage(token, SECRET) if is_jwt else token[:-1])
    assert device.client.get("/me").status_code == statuses[-1]
    assert [status for _, status in device.transport.calls] == statuses
    assert device.client.state == "active"


@for_each("article")
@pytest.mark.parametrize("damage", [forged, malformed])
def test_an_invalid_access_token_of_the_article_ends_the_session(
    device: Device, damage: Damage
) -> None:
    device.change(access_token=damage(device.record.tokens.access_token, SECRET))
    with pytest.raises(SessionEnded) as error:
        device.client.get("/me")
    assert_over(device, error.value)
    assert error.value.code == "INVALID_TOKEN"


@pytest.mark.parametrize(
    ("device", "what"),
    [
        ("simplejwt", "disable"),
        ("simplejwt", "delete"),
        ("simplejwt", "password"),
        ("flask_jwt_extended", "disable"),
        ("fastapi_users", "disable"),
        ("fastapi_users", "delete"),
        ("oidc_provider", "disable"),
    ],
    indirect=["device"],
)
def test_a_user_who_was_disabled_is_signed_out_at_the_next_call(device: Device, what: str) -> None:
    device.server.change(what)
    with pytest.raises((SessionEnded, SessionExpired)) as error:
        device.client.get("/me")
    assert_over(device, error.value)


@pytest.mark.parametrize(
    ("device", "path", "statuses"),
    [
        ("flask_jwt_extended", "/fresh", [401, 200, 401]),  # A 401 without a reason: one try.
        ("fastapi_users", "/admin", [403]),
        *((name, "/nowhere", [404]) for name in PEER),
    ],
    indirect=["device"],
)
def test_what_is_not_about_the_session_is_handed_back(
    device: Device, path: str, statuses: list[int]
) -> None:
    device.client.refresh() if path == "/fresh" else None
    device.transport.calls.clear()
    assert device.client.get(path).status_code == statuses[-1]
    assert [status for _, status in device.transport.calls] == statuses
    assert device.client.state == "active"


# -- Refresh tokens --------------------------------------------------------------------------------


@for_each(*WITH_REFRESH)
def test_each_refresh_is_good_for_the_next(device: Device) -> None:
    for _ in range(3):
        before = device.record
        device.change(expires_at=LONG_AGO)
        assert device.client.get("/me").status_code == 200
        assert device.record.generation.is_newer_than(before.generation)
    assert [status for _, status in device.transport.calls] == [200] * 6


def refused(device: Device) -> None:
    """The access token has expired; the refresh is refused, and that is the end."""
    ends: list[str] = []
    device.change(expires_at=LONG_AGO)
    device.client.on("expired", ends.append)
    device.transport.calls.clear()
    with pytest.raises(SessionExpired) as error:
        device.client.get("/me")
    assert_over(device, error.value)
    assert ends == ["REFRESH_INVALID"]
    assert len(device.transport.calls) == 1, device.transport.calls


@for_each(*WITH_JWT_REFRESH)
@pytest.mark.parametrize("damage", [expired, forged, malformed])
def test_a_refresh_token_that_is_not_good_ends_the_session(device: Device, damage: Damage) -> None:
    token = device.record.tokens.refresh_token
    assert token is not None
    device.change(refresh_token=damage(token, device.server.peer.refresh_secret))
    refused(device)


@for_each("oidc_provider")
@pytest.mark.parametrize("token", ["", "x", "no token"])
def test_a_refresh_token_unknown_to_oidc_provider_ends_the_session(
    device: Device, token: str
) -> None:
    device.change(refresh_token=token or f"{device.record.tokens.refresh_token}"[:-1])
    refused(device)


@for_each("oidc_provider")
def test_an_expired_refresh_token_of_oidc_provider_ends_the_session(device: Device) -> None:
    device.server.change("brief")
    device.sign_in()
    time.sleep(1.1)
    refused(device)


@for_each("simplejwt", "flask_jwt_extended", "oidc_provider")
def test_a_refresh_token_that_was_rotated_ends_the_session(device: Device) -> None:
    used = device.record.tokens.refresh_token
    device.client.refresh()
    assert device.record.tokens.refresh_token != used
    device.change(refresh_token=used)
    refused(device)


@for_each(*WITH_REFRESH)
def test_a_refresh_token_that_was_revoked_ends_the_session(device: Device) -> None:
    """A copy of it, for the device that signs out forgets its own."""
    copy = Device(device.server)
    copy.store.save(device.record.dumps())
    device.client.sign_out()
    assert [status for _, status in device.transport.calls] in ([200], [204])
    refused(copy)


@for_each(*WITH_REFRESH)
def test_a_refresh_for_a_disabled_user_ends_the_session(device: Device) -> None:
    device.server.change("disable")
    refused(device)


@for_each("simplejwt")
def test_a_refresh_for_a_deleted_user_of_simplejwt_is_an_outage(device: Device) -> None:
    """Its view fails with a 500 there, which tells no client that the user is gone."""
    device.server.change("delete")
    with pytest.raises(Unreachable):
        device.client.refresh()
    assert device.client.state == "degraded"


# -- Errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "message", "code"),
    [
        ("simplejwt", "No such note.", None),
        ("flask_jwt_extended", "No such note.", None),
        ("article", "No such note.", "NOT_FOUND"),
        ("fastapi_users", "Not Found", "Not Found"),
    ],
    indirect=["device"],
)
def test_raise_for_status_says_what_the_server_says(
    device: Device, message: str | None, code: str | None
) -> None:
    with pytest.raises(BadReply) as failed:
        device.client.get("/gone").raise_for_status()
    assert str(failed.value) == (message or BadReply.message)
    assert failed.value.code == code


@for_each("fastapi_users")
def test_an_error_of_fastapi_users_keeps_its_code(device: Device) -> None:
    response = device.client.post(
        "/auth/register", json={"email": "ada@example.com", "password": PASSWORD}
    )
    with pytest.raises(BadReply) as failed:
        response.raise_for_status()
    assert failed.value.code == "REGISTER_USER_ALREADY_EXISTS"
    assert str(failed.value) == BadReply.message
