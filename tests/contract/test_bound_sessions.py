"""Sessions that are bound to a key: both clients against the real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contract.conftest import BASE, StartDevice, restarted
from tests.support.provers import FakeProver
from tests.support.server_process import PASSWORDS, ServerProcess
from unexpired import AsyncClient, Client, MemoryStore, SessionExpired

HOUR = 3600


# -- On a fake clock ---------------------------------------------------------------------------


async def test_a_bound_session_lives_for_a_week_of_calls(start_device: StartDevice) -> None:
    """An hour later the nonce is too old, which costs a round trip and nothing else."""
    device = await start_device(prover=FakeProver())
    assert device.client.diagnose()["bound"] is True
    for hour in range(7 * 24):
        device.clock.advance(HOUR)
        assert (await device.client.get("/api/me")).status_code == 200, hour
    assert device.refreshes() == 2 * 7 * 24


async def test_a_refresh_in_time_costs_one_round_trip(start_device: StartDevice) -> None:
    device = await start_device(prover=FakeProver(), access_ttl=900)
    for _ in range(20):
        device.clock.advance(860)
        await device.client.get("/api/me")
    assert device.refreshes() == 20


@pytest.mark.parametrize("skew", [-HOUR, HOUR])
async def test_a_wrong_device_clock_costs_nothing_after_the_sign_in(
    start_device: StartDevice, skew: float
) -> None:
    device = await start_device(prover=FakeProver(), skew=skew, access_ttl=900, leeway=0)
    assert device.client.diagnose()["bound"] is True
    for _ in range(90):
        device.clock.advance(100)
        assert (await device.client.get("/api/me")).status_code == 200
    assert device.refreshes() == 10


async def test_two_pages_share_one_key(start_device: StartDevice) -> None:
    device = await start_device(prover=FakeProver())
    other = device.open_page()
    for page in (device.client, other, device.client):
        device.clock.advance(HOUR)
        assert (await page.get("/api/me")).status_code == 200


async def test_a_copied_record_is_worthless_and_its_owner_notices_nothing(
    start_device: StartDevice,
) -> None:
    device = await start_device(prover=FakeProver(), access_ttl=900)
    stolen = MemoryStore()
    stolen.save(device.store.load() or "")
    thief = AsyncClient(
        device.transport, store=stolen, clock=device.clock, prover=FakeProver(), base_url=BASE
    )
    assert (await thief.get("/api/me")).status_code == 200  # The access token, to its end.
    device.clock.advance(901)
    with pytest.raises(SessionExpired) as over:
        await thief.get("/api/me")
    assert over.value.code == "KEY_LOST"
    assert device.transport.paths.count("/api/logout") == 0
    assert (await device.client.get("/api/me")).status_code == 200


async def test_a_copied_record_is_refused_with_another_key(start_device: StartDevice) -> None:
    prover = FakeProver()
    device = await start_device(prover=prover, access_ttl=900)
    own = FakeProver()
    handle = await own.create()
    stolen = MemoryStore()
    stolen.save(json.dumps({**json.loads(device.store.load() or ""), "key": handle}))
    thief = AsyncClient(
        device.transport, store=stolen, clock=device.clock, prover=own, base_url=BASE
    )
    device.clock.advance(901)
    with pytest.raises(SessionExpired) as refused:
        await thief.get("/api/me")
    assert refused.value.code == "REFRESH_INVALID"
    assert (await device.client.get("/api/me")).status_code == 200


async def test_a_server_that_binds_nothing_has_sessions_as_before(
    start_device: StartDevice,
) -> None:
    prover = FakeProver()
    device = await start_device(prover=prover, dpop="off")
    device.clock.advance(HOUR)
    assert (await device.client.get("/api/me")).status_code == 200
    assert (device.client.diagnose()["bound"], prover.keys) == (False, {})


async def test_a_session_lives_on_when_its_server_begins_to_bind(
    start_device: StartDevice, tmp_path: Path
) -> None:
    device = await start_device(prover=FakeProver(), dpop="off")
    async with restarted(device, tmp_path, dpop="refresh", dpop_required=True):
        for _ in range(2):
            device.clock.advance(HOUR)
            assert (await device.client.get("/api/me")).status_code == 200
    assert device.client.diagnose()["bound"] is False


async def test_a_session_lives_on_when_its_server_stops_to_bind_and_begins_again(
    start_device: StartDevice, tmp_path: Path
) -> None:
    device = await start_device(prover=FakeProver())
    for dpop in ("off", "refresh", "off"):
        async with restarted(device, tmp_path, dpop=dpop):
            device.clock.advance(HOUR)
            assert (await device.client.get("/api/me")).status_code == 200, dpop
    assert device.client.diagnose()["bound"] is True


async def test_a_client_without_keys_has_sessions_as_before(start_device: StartDevice) -> None:
    device = await start_device()
    device.clock.advance(HOUR)
    assert (await device.client.get("/api/me")).status_code == 200


async def test_a_sign_up_is_bound_as_well(start_device: StartDevice) -> None:
    prover = FakeProver()
    device = await start_device(prover=prover, signup=True)
    account = {"username": "grace", "password": "staple another horse"}
    response = await device.client.post("/api/signup", json=account, auth="sign_in")
    await device.client.adopt(response.raise_for_status())
    device.clock.advance(HOUR)
    assert (await device.client.get("/api/me")).json()["username"] == "grace"
    assert device.client.diagnose()["bound"] is True


# -- In processes of their own -----------------------------------------------------------------


def in_one(base_url: str) -> Client:
    return Client.on_desktop(base_url=base_url)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "unexpired"


def test_a_program_that_starts_again_continues_its_bound_session(
    backend: ServerProcess, home: Path
) -> None:
    in_one(backend.url).sign_in("ada", PASSWORDS["ada"])
    again = in_one(backend.url)
    again.refresh()
    assert again.get("/api/me").status_code == 200
    assert again.diagnose()["bound"] is True
    (file,) = home.glob("*.json")
    assert file.stat().st_mode & 0o077 == 0  # The key is in it.


async def test_an_async_program_continues_it_as_well(backend: ServerProcess) -> None:
    await AsyncClient.on_desktop(base_url=backend.url).sign_in("ada", PASSWORDS["ada"])
    again = AsyncClient.on_desktop(base_url=backend.url)
    await again.refresh()
    assert (await again.get("/api/me")).status_code == 200
    assert again.diagnose()["bound"] is True
