"""The library and the server together, on a fake clock."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.conftest import BASE, StartDevice
from tests.server.harness import PASSWORD
from unexpired import (
    BadCredentials,
    SessionEnded,
    SessionExpired,
    Unreachable,
    is_expiring_soon,
)


async def test_calls_over_a_month_never_get_a_401(start_device: StartDevice) -> None:
    device = await start_device(access_ttl=900, refresh_absolute_ttl=31 * 86400)
    for hour in range(30 * 24):
        device.clock.advance(3600)
        response = await device.client.get("/api/me")
        assert (response.status_code, response.json()["username"]) == (200, "ada"), hour
    assert device.refreshes() == 30 * 24


async def test_the_absolute_lifetime_ends_the_session_with_a_friendly_message(
    start_device: StartDevice,
) -> None:
    device = await start_device(refresh_absolute_ttl=86400)
    device.clock.advance(86401)
    with pytest.raises(SessionExpired, match=r"^Your session has expired\. Please log in again\.$"):
        await device.client.get("/api/me")
    assert device.store.load() is None


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
async def test_a_wrong_device_clock_costs_one_refresh_for_each_token(
    start_device: StartDevice, skew: float
) -> None:
    device = await start_device(skew=skew, access_ttl=900, leeway=0)
    for _ in range(90):
        device.clock.advance(100)
        assert (await device.client.get("/api/me")).status_code == 200
    assert device.refreshes() == 10  # 9,000 s, each token used for 840 to 900 s


async def test_a_hundred_calls_share_one_refresh(start_device: StartDevice) -> None:
    device = await start_device()
    device.clock.advance(901)
    responses = await asyncio.gather(*(device.client.get("/api/me") for _ in range(100)))
    assert {response.status_code for response in responses} == {200}
    assert device.refreshes() == 1


async def test_two_pages_without_a_common_lock_stay_signed_in(
    start_device: StartDevice,
) -> None:
    device = await start_device()
    device.clock.advance(901)
    other = device.open_page()
    responses = await asyncio.gather(device.client.get("/api/me"), other.get("/api/me"))
    assert {response.status_code for response in responses} == {200}
    device.clock.advance(901)
    assert (await other.get("/api/me")).status_code == 200


async def test_after_a_lost_refresh_response_the_next_refresh_succeeds(
    start_device: StartDevice,
) -> None:
    device = await start_device()
    text = device.store.load()
    await device.client.refresh()
    assert text is not None
    device.store.save(text)  # As if the response had never arrived.
    again = device.open_page()
    await again.refresh()
    assert (await again.get("/api/me")).status_code == 200


async def test_without_refresh_tokens_the_session_ends_with_the_access_token(
    start_device: StartDevice,
) -> None:
    device = await start_device(refresh=False, access_ttl=900, leeway=0)
    device.clock.advance(899)
    assert (await device.client.get("/api/me")).status_code == 200
    device.clock.advance(2)
    with pytest.raises(SessionExpired):
        await device.client.get("/api/me")
    assert device.refreshes() == 0


async def test_without_rotation_the_refresh_token_stays(start_device: StartDevice) -> None:
    device = await start_device(rotation=False)
    before = device.tokens().refresh_token
    for _ in range(3):
        device.clock.advance(901)
        assert (await device.client.get("/api/me")).status_code == 200
    after = device.tokens().refresh_token
    assert before == after


async def test_signing_out_everywhere_ends_the_session_here(start_device: StartDevice) -> None:
    device = await start_device()
    assert (await device.client.post("/api/logout-all")).status_code == 204
    with pytest.raises(SessionEnded) as ended:
        await device.client.get("/api/me")
    assert ended.value.code == "SESSION_REVOKED"


async def test_sign_out_revokes_the_access_token(start_device: StartDevice) -> None:
    device = await start_device()
    token = device.tokens().access_token
    await device.client.sign_out()
    response = await device.transport.http.get(
        f"{BASE}/api/me", headers={"authorization": f"Bearer {token}"}
    )
    assert (response.status_code, response.json()["code"]) == (401, "SESSION_REVOKED")


async def test_a_wrong_password_raises_bad_credentials(start_device: StartDevice) -> None:
    device = await start_device()
    with pytest.raises(BadCredentials):
        await device.client.sign_in("ada", PASSWORD + "!")


async def test_an_outage_loses_neither_the_session_nor_a_note(start_device: StartDevice) -> None:
    device = await start_device()
    device.transport.is_offline = True
    with pytest.raises(Unreachable):
        await device.client.post("/api/notes", json={"text": "hi"})
    device.transport.is_offline = False
    assert (await device.client.post("/api/notes", json={"text": "hi"})).status_code == 201
    notes = (await device.client.get("/api/notes")).json()["notes"]
    assert [note["text"] for note in notes] == ["hi"]


async def test_is_expiring_soon_reads_the_expiry_in_the_token(start_device: StartDevice) -> None:
    device = await start_device(access_ttl=900)
    token = device.tokens().access_token
    assert not is_expiring_soon(token, now=device.clock() + 839)
    assert is_expiring_soon(token, now=device.clock() + 840)


async def test_a_wrong_current_password_is_handed_back_and_a_changed_one_keeps_the_session(
    start_device: StartDevice,
) -> None:
    """A 401 about a password is none about the session."""
    device = await start_device()
    for current, status in (("wrong", 401), (PASSWORD, 204)):
        passwords = {"currentPassword": current, "newPassword": "staple battery"}
        response = await device.client.post("/api/password", json=passwords)
        assert response.status_code == status
        assert device.client.state == "active"
    assert device.refreshes() == 0
    device.clock.advance(901)
    assert (await device.client.get("/api/me")).status_code == 200
    assert device.refreshes() == 1


async def test_a_sign_up_is_adopted(start_device: StartDevice) -> None:
    """The response to a sign-up starts a session, as a sign-in does."""
    device = await start_device(signup=True)
    account = {"username": "carol", "password": "staple battery"}
    response = await device.client.post("/api/signup", json=account, auth=False)
    assert response.status_code == 201
    await device.client.adopt(response)
    assert (await device.client.get("/api/me")).json()["username"] == "carol"
    device.clock.advance(901)
    assert (await device.client.get("/api/me")).status_code == 200
