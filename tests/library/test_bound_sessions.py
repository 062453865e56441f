"""Sessions that are bound to a key of their device, with both clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.library.conftest import session_of
from tests.support.binding_server import AsyncBindingServer, SyncBindingServer
from tests.support.clock import FakeClock
from tests.support.fake_server import API
from tests.support.provers import FakeProver, SyncFakeProver
from unexpired import AsyncClient, Client, MemoryStore

HOUR = 3600.0


@dataclass
class Device:
    """A device with its keys, its store and its server, for either client."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    server: Any = None
    prover: Any = None
    client: Any = None

    async def do(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of the client, which may be a coroutine function."""
        result = getattr(self.client, method)(*args, **options)
        return await result if asyncio.iscoroutine(result) else result

    @property
    def key(self) -> str | None:
        record = session_of(self.client).record
        return record.key if record else None

    @property
    def stored(self) -> Mapping[str, Any]:
        return dict(json.loads(self.store.load() or "{}"))

    def proved(self, path: str) -> list[bool]:
        """Return of each request for a path whether it brought a proof."""
        return [proof is not None for where, proof in self.server.proofs if where == path]


def async_device(**options: Any) -> Device:
    device = Device(prover=FakeProver())
    device.server = AsyncBindingServer(device.clock)
    open_async(device, **options)
    return device


def open_async(device: Device, **options: Any) -> None:
    device.client = AsyncClient(
        device.server,
        store=device.store,
        clock=device.clock,
        **{"prover": device.prover, "base_url": API, **options},
    )


def sync_device(**options: Any) -> Device:
    device = Device(prover=SyncFakeProver())
    device.server = SyncBindingServer(device.clock)
    open_sync(device, **options)
    return device


def open_sync(device: Device, **options: Any) -> None:
    device.client = Client(
        device.server,
        store=device.store,
        clock=device.clock,
        **{"prover": device.prover, "base_url": API, **options},
    )


@dataclass(frozen=True)
class Kind:
    """One of the two clients."""

    new: Callable[..., Device]
    open: Callable[..., None]


@pytest.fixture(params=[Kind(async_device, open_async), Kind(sync_device, open_sync)], ids="as")
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def device(kind: Kind) -> Device:
    return kind.new()


# -- Sign-in and refresh -----------------------------------------------------------------------


async def test_a_session_is_bound_to_a_new_key_and_refreshed_by_it(device: Device) -> None:
    await device.do("sign_in", "ada", "pw")
    assert device.prover.created == [device.key] == ["HANDLE-1"]
    await device.do("refresh")
    await device.do("get", "/api/notes")
    assert [path for path, proof in device.server.proofs if proof] == ["/api/login", "/api/refresh"]
    assert device.client.diagnose()["bound"] is True
    assert device.client.diagnose()["dpop"] is None


async def test_a_program_that_starts_again_continues_its_bound_session(
    device: Device, kind: Kind
) -> None:
    await device.do("sign_in", "ada", "pw")
    kind.open(device)
    await device.do("refresh")
    assert (device.key, device.proved("/api/refresh")) == ("HANDLE-1", [True])


async def test_an_old_nonce_costs_one_round_trip(device: Device) -> None:
    await device.do("sign_in", "ada", "pw")
    device.server.nonce = "nonce-2"
    await device.do("refresh")
    await device.do("refresh")
    nonces = [proof.claims["nonce"] for path, proof in device.server.proofs if path != "/api/login"]
    assert nonces == ["nonce-1", "nonce-2", "nonce-2"]
    ids = [proof.claims["jti"] for _, proof in device.server.proofs]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("wrong_by", [-HOUR, HOUR])
async def test_a_wrong_clock_costs_one_round_trip_at_the_sign_in(
    kind: Kind, wrong_by: float
) -> None:
    device = kind.new()
    device.server.clock = FakeClock(wall=device.clock.wall + wrong_by)
    await device.do("sign_in", "ada", "pw")
    await device.do("refresh")
    assert device.proved("/api/login") == [True, True]
    assert device.proved("/api/refresh") == [True]
    refresh = device.server.proofs[-1][1]
    assert abs(refresh.claims["iat"] - device.server.clock.wall) <= 1


async def test_a_server_that_binds_nothing_has_sessions_as_before(device: Device) -> None:
    device.server.binds = False
    await device.do("sign_in", "ada", "pw")
    assert (device.key, device.prover.forgotten) == (None, ["HANDLE-1"])
    assert "key" not in device.stored
    assert "did not bind" in device.client.diagnose()["dpop"]
    await device.do("refresh")
    assert device.proved("/api/refresh") == [False]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dpop": "off"}, "off"),
        ({"prover": None}, "No key can be kept"),
        ({"dialect": {"second_step": ["MFA"]}}, "dpop=True"),
    ],
)
async def test_without_a_key_a_session_is_as_before(kind: Kind, options: Any, said: str) -> None:
    device = kind.new(**options)
    await device.do("sign_in", "ada", "pw")
    await device.do("refresh")
    assert (device.key, device.prover.created) == (None, [])
    assert [proof for _, proof in device.server.proofs] == [None, None]
    assert said in device.client.diagnose()["dpop"]
