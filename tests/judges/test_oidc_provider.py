"""Our clients against npm's oidc-provider, which binds tokens and asks for nonces."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.contract.real_servers import PASSWORD, RealServer, Recorder
from tests.support.provers import read_proof
from unexpired import AsyncClient, Client, Dialect, MemoryStore, Request, Response, SessionExpired
from unexpired.desktop.keys import ProgramProver, SyncProgramProver
from unexpired.ports import SystemClock
from unexpired.session_record import Record, loads

HOUR = 3600.0
LONG_AGO = 1.0


@dataclass
class Wire(Recorder):
    """Sends through urllib; records each path with its status, and each proof.

    Attributes:
        proofs: The claims of each request's proof; None where there is none.
    """

    proofs: list[Any] = field(default_factory=list)

    def send(self, request: Request, timeout: float | None) -> Response:
        text = request.headers.get("dpop")
        self.proofs.append(read_proof(text).claims if text else None)
        return super().send(request, timeout)


class AsyncWire:
    """The same for the client that awaits."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def send(self, request: Request) -> Response:
        return await asyncio.to_thread(self._wire.send, request, None)


class WrongClock(SystemClock):
    """The clock of a device that is an hour behind."""

    def now(self) -> float:
        return super().now() - HOUR


@dataclass
class Device:
    """A device of ada's.

    Attributes:
        server: The provider.
        is_sync: Which of the two clients it runs.
        options: Further options of the client.
    """

    server: RealServer
    is_sync: bool
    options: dict[str, Any] = field(default_factory=dict)
    wire: Wire = field(default_factory=Wire)
    store: MemoryStore = field(default_factory=MemoryStore)
    client: Any = None

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Start the program again."""
        given = {
            "store": self.store,
            "prover": SyncProgramProver() if self.is_sync else ProgramProver(),
            "base_url": self.server.url,
            "dialect": Dialect.oauth("notes-dpop", dpop=True),
            "login_path": "/token",
            "refresh_path": "/token",
            "logout_path": "/token/revocation",
            **self.options,
        }
        if self.is_sync:
            self.client = Client(self.wire, **given)
        else:
            self.client = AsyncClient(AsyncWire(self.wire), **given)

    async def do(self, method: str, *args: Any) -> Any:
        """Call a method of the client, which may be a coroutine function."""
        result = getattr(self.client, method)(*args)
        return await result if asyncio.iscoroutine(result) else result

    async def sign_in(self) -> None:
        """Sign ada in."""
        await self.do("sign_in", "ada", PASSWORD)

    @property
    def record(self) -> Record:
        """What the device stores."""
        text = self.store.load()
        assert text is not None
        return loads(text)

    def change(self, **tokens: Any) -> None:
        """Start again with other tokens, which are as if they had been issued so."""
        record = self.record
        self.store.save(replace(record, tokens=replace(record.tokens, **tokens)).dumps())
        self.open()

    def sent(self) -> list[tuple[str, int]]:
        """Return what was sent since the last time, and its status."""
        calls, self.wire.calls = self.wire.calls, []
        return calls


@pytest.fixture(params=[True, False], ids=["sync", "async"])
def new_device(request: pytest.FixtureRequest, oidc_provider: RealServer) -> Callable[..., Device]:
    oidc_provider.change("reset")
    return lambda **options: Device(oidc_provider, request.param, options)


async def test_a_nonce_is_asked_for_once_at_the_token_endpoint_and_once_at_the_api(
    new_device: Callable[..., Device],
) -> None:
    device = new_device()
    await device.sign_in()
    assert device.sent() == [("token", 400), ("token", 200)]
    assert (device.record.tokens.scheme, device.client.diagnose()["bound"]) == ("DPoP", True)
    for _ in range(2):
        assert (await device.do("get", "/me")).json() == {"sub": "ada"}
    assert device.sent() == [("me", 200)] * 2
    assert all("ath" in claims for claims in device.wire.proofs[2:])


async def test_a_bound_session_lives_through_several_expiries(
    new_device: Callable[..., Device],
) -> None:
    device = new_device()
    await device.sign_in()
    seen, key = {device.record.tokens.refresh_token}, device.record.key
    device.sent()
    for _ in range(4):
        device.change(expires_at=LONG_AGO)
        assert (await device.do("get", "/me")).status_code == 200
        seen.add(device.record.tokens.refresh_token)
    assert len(seen) == 5, "each refresh token is used once"
    assert device.record.key == key is not None
    assert [status for path, status in device.sent() if path == "token"].count(200) == 4
    assert len({claims["jti"] for claims in device.wire.proofs}) == len(device.wire.proofs)


async def test_a_nonce_that_is_no_longer_accepted_costs_one_round_trip(
    new_device: Callable[..., Device],
) -> None:
    device = new_device()
    await device.sign_in()
    device.sent()
    device.change(nonce="A" * 43, expires_at=LONG_AGO)
    assert (await device.do("get", "/me")).status_code == 200
    assert device.sent()[:2] == [("token", 400), ("token", 200)]


async def test_a_clock_that_is_an_hour_behind_signs_nobody_out(
    new_device: Callable[..., Device],
) -> None:
    device = new_device(clock=WrongClock())
    await device.sign_in()
    device.change(expires_at=LONG_AGO)
    assert (await device.do("get", "/me")).status_code == 200
    assert device.client.state == "active"


async def test_an_access_token_that_has_expired_unnoticed_costs_one_refresh(
    new_device: Callable[..., Device],
) -> None:
    device = new_device()
    device.server.change("short")
    await device.sign_in()
    await asyncio.sleep(1.1)
    device.server.change("reset")
    device.change(expires_at=time.time() + 60)
    device.sent()
    assert (await device.do("get", "/me")).status_code == 200
    assert [status for path, status in device.sent() if path == "token"] == [200]


async def test_tokens_without_their_key_are_refused_and_the_session_goes_on(
    new_device: Callable[..., Device],
) -> None:
    device, thief = new_device(), new_device()
    await device.sign_in()
    await thief.sign_in()
    stolen = replace(device.record, key=thief.record.key)
    thief.store.save(stolen.dumps())
    thief.change(expires_at=LONG_AGO)
    with pytest.raises(SessionExpired):
        await thief.do("get", "/me")
    device.change(expires_at=LONG_AGO)
    assert (await device.do("get", "/me")).status_code == 200


async def test_a_sign_out_revokes_the_refresh_token(new_device: Callable[..., Device]) -> None:
    device, copy = new_device(), new_device()
    await device.sign_in()
    copy.store.save(device.record.dumps())
    copy.change(expires_at=LONG_AGO)
    device.sent()
    await device.do("sign_out")
    assert device.sent() == [("token/revocation", 200)]
    with pytest.raises(SessionExpired):
        await copy.do("get", "/me")
