"""Calls that need a proof each (``DPOP=all``), by each library against the real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.contract.conftest import BASE, StartDevice, restarted
from tests.contract.test_adapters import EACH_LIBRARY, Call, Program
from tests.support import plain_http
from tests.support.provers import FakeProver
from tests.support.server_process import PASSWORDS, ServerProcess
from unexpired import AsyncClient, Client, MemoryStore, SessionExpired


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess.with_users(tmp_path_factory.mktemp("server"), dpop="all")
    yield server
    server.stop()


@pytest.fixture
def program(backend: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    store = MemoryStore()
    client = Client.on_desktop(store=store, base_url=backend.url)
    client.sign_in("ada", PASSWORDS["ada"])
    return Program(backend, store, client)


def age_nonce(program: Program) -> None:
    """Replace the stored nonce by one that the server does not know."""
    record = json.loads(program.store.load() or "")
    program.store.save(json.dumps({**record, "nonce": "an-old-one"}))


@EACH_LIBRARY
def test_a_call_brings_a_proof_each_time(program: Program, call: Call) -> None:
    assert json.loads(program.store.load() or "")["scheme"] == "DPoP"
    assert [call(program.client, f"{program.backend.url}/api/me") for _ in range(2)] == [200, 200]


@EACH_LIBRARY
def test_an_expired_token_and_an_old_nonce_end_no_call(program: Program, call: Call) -> None:
    age_nonce(program)
    assert call(program.open(), f"{program.backend.url}/api/me") == 200
    program.expire()
    age_nonce(program)
    assert call(program.open(), f"{program.backend.url}/api/me") == 200


@EACH_LIBRARY
def test_threads_prove_their_calls_at_the_same_time(program: Program, call: Call) -> None:
    program.expire()
    url = f"{program.backend.url}/api/me"
    with ThreadPoolExecutor(8) as threads:
        assert [*threads.map(lambda _: call(program.client, url), range(24))] == [200] * 24


async def test_the_async_client_and_its_httpx_prove_their_calls(program: Program) -> None:
    client = program.open_async()
    note = await client.post("/api/notes", json={"text": "proved"})
    assert note.status_code == 201
    async with client.stream("GET", "/api/notes?limit=1") as stream:
        assert (stream.status_code, bool(await stream.aread())) == (200, True)
    async with httpx.AsyncClient(auth=client.httpx_auth(), base_url=program.backend.url) as http:
        assert (await http.get("/api/notes", params={"limit": 1})).status_code == 200


def test_a_copied_token_is_worthless_without_the_key(program: Program) -> None:
    token = program.client.token()
    for scheme in ("Bearer", "DPoP"):
        headers = {"Authorization": f"{scheme} {token}"}
        refused = plain_http.get(f"{program.backend.url}/api/me", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "INVALID_PROOF")
    assert program.client.get("/api/me").status_code == 200


def test_the_code_of_others_sends_token_and_proof(program: Program) -> None:
    url = f"{program.backend.url}/api/me"
    headers = {"Authorization": f"DPoP {program.client.token()}"}
    headers["DPoP"] = program.client.proof("GET", url) or ""
    assert plain_http.get(url, headers=headers).status_code == 200
    assert plain_http.get(url, headers=headers).json()["code"] == "INVALID_PROOF"  # Once only.


# -- A server that changes its mind ------------------------------------------------------------


@pytest.mark.parametrize("first", ["off", "refresh", "all"])
@pytest.mark.parametrize("then", ["off", "refresh", "all"])
async def test_a_session_survives_each_change_of_the_setting(
    start_device: StartDevice, tmp_path: Path, first: str, then: str
) -> None:
    """Tokens that were issued before are used to their end, and the session is refreshed."""
    device = await start_device(prover=FakeProver(), dpop=first)
    async with restarted(device, tmp_path, dpop=then):
        for seconds in (0, 901, 901):
            device.clock.advance(seconds)
            assert (await device.client.get("/api/me")).status_code == 200, seconds
    async with restarted(device, tmp_path, dpop=first):
        for seconds in (0, 901):
            device.clock.advance(seconds)
            assert (await device.client.get("/api/me")).status_code == 200, seconds


async def test_a_copied_record_is_of_no_use_at_all(start_device: StartDevice) -> None:
    device = await start_device(prover=FakeProver(), dpop="all")
    stolen = MemoryStore()
    stolen.save(device.store.load() or "")
    thief = AsyncClient(
        device.transport, store=stolen, clock=device.clock, prover=FakeProver(), base_url=BASE
    )
    with pytest.raises(SessionExpired) as lost:
        await thief.get("/api/me")
    assert lost.value.code == "KEY_LOST"
    assert (await device.client.get("/api/me")).status_code == 200
    assert "/api/logout" not in device.transport.paths
