"""Bound sessions where something is slow, is cancelled or goes wrong."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.library.conftest import NOW, World, new_session, session_of
from tests.library.test_secrets import MARK, raised, shown
from tests.support.binding_server import AsyncBindingServer, SyncBindingServer
from tests.support.clock import FakeClock
from tests.support.fake_server import API, error_response, json_response, token_fields
from tests.support.provers import AsyncFakeKey, FakeProver, SyncFakeProver
from unexpired import (
    AsyncClient,
    Client,
    MemoryStore,
    Response,
    SessionEnded,
    SessionExpired,
    Unreachable,
)
from unexpired.effects import Send, Sleep
from unexpired.options import Options
from unexpired.policy import AGREEMENT_SECONDS, Policy
from unexpired.proofs import KeyLost, Proof
from unexpired.session_record import Record, UnknownRecord, loads

SEE_OTHER_TABS = Sleep(AGREEMENT_SECONDS, is_wakeable=False)


class GatedKey(AsyncFakeKey):
    """A key that signs when the test lets it.

    Args:
        gate: What it waits for.
        waiting: Is set while it waits.
    """

    def __init__(self, gate: asyncio.Event, waiting: asyncio.Event) -> None:
        super().__init__()
        self._gate = gate
        self._waiting = waiting

    async def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        self._waiting.set()
        await self._gate.wait()
        return await super().sign(message)


@dataclass
class GatedProver(FakeProver):
    """Keeps keys that sign when the test lets them."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)

    async def create(self) -> str | None:
        """Make and keep a key."""
        return self._keep(GatedKey(self.gate, self.waiting))


def client_of(server: AsyncBindingServer, prover: FakeProver, **options: Any) -> AsyncClient:
    return AsyncClient(server, prover=prover, clock=server.clock, base_url=API, **options)


@pytest.fixture
def server() -> AsyncBindingServer:
    return AsyncBindingServer(FakeClock())


async def test_a_sign_in_that_is_cancelled_while_it_is_signed_leaves_no_key(
    server: AsyncBindingServer,
) -> None:
    prover = GatedProver()
    client = client_of(server, prover)
    sign_in = asyncio.ensure_future(client.sign_in("ada", "pw"))
    await prover.waiting.wait()
    sign_in.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sign_in
    assert (server.received, prover.forgotten, client.state) == ([], ["HANDLE-1"], "anonymous")


async def test_a_call_that_is_cancelled_while_it_is_signed_sends_nothing(
    server: AsyncBindingServer,
) -> None:
    server.proves_calls = True
    prover = GatedProver()
    prover.gate.set()
    client = client_of(server, prover)
    await client.sign_in("ada", "pw")
    prover.gate.clear()
    prover.waiting.clear()
    call = asyncio.ensure_future(client.get("/api/notes"))
    await prover.waiting.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    prover.gate.set()
    assert (await client.get("/api/notes")).status_code == 200
    assert server.count("/api/notes") == 1


async def test_a_call_gives_up_on_a_key_that_does_not_sign(server: AsyncBindingServer) -> None:
    server.proves_calls = True
    prover = GatedProver()
    prover.gate.set()
    client = client_of(server, prover)
    await client.sign_in("ada", "pw")
    prover.gate.clear()
    with pytest.raises(Unreachable):
        await client.get("/api/notes", timeout=0.01)
    assert client.state == "active"


async def test_a_refresh_outlives_its_callers_and_a_key_that_signs_late(
    server: AsyncBindingServer,
) -> None:
    """The exchange goes on; a second one beside it has the same attempt and another proof."""
    prover = GatedProver()
    prover.gate.set()
    client = client_of(server, prover, refresh_timeout=0.05)
    await client.sign_in("ada", "pw")
    prover.gate.clear()
    for _ in range(2):
        with pytest.raises(Unreachable):
            await client.refresh()
    recovered = asyncio.Event()
    client.on("recovered", recovered.set)
    prover.gate.set()
    await recovered.wait()
    bodies = {request.body for request in server.received if request.url.endswith("/refresh")}
    proofs = [proof.claims["jti"] for path, proof in server.proofs if proof and "refresh" in path]
    assert len(bodies) == 1
    assert len(proofs) == len(set(proofs)) > 0


async def test_a_key_that_takes_too_long_is_as_an_outage(
    server: AsyncBindingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Options, "exchange_timeout", 0.01)
    prover = GatedProver()
    with pytest.raises(Unreachable):
        await client_of(server, prover).sign_in("ada", "pw")
    assert prover.forgotten == ["HANDLE-1"]


def test_a_session_that_is_signed_out_while_its_key_is_read_is_just_signed_out(
    world: World,
) -> None:
    """Its key is gone by then, which says nothing of the session."""
    sign_in(world)
    flow = world.policy.renew()
    next(flow)
    assert flow.throw(KeyLost()) == SEE_OTHER_TABS
    world.session.sign_out("here")
    with pytest.raises(SessionEnded) as ended:
        next(flow)
    assert ended.value.code == "SIGNED_OUT"


# -- The policy, fed by hand -------------------------------------------------------------------


def sign_in(world: World, **fields: Any) -> None:
    """Sign in with a key, by feeding the policy the server's response."""
    flow = world.policy.sign_in("s", "ada", "pw", key="k")
    next(flow)
    bound = {"bound": True, "nonce": "n1", **fields}
    with pytest.raises(StopIteration):
        flow.send(json_response(200, token_fields(now=world.clock.wall, **bound)))


def proof_in(effect: Any) -> Proof | None:
    assert isinstance(effect, Send)
    return effect.proof


def test_the_policy_says_what_a_refresh_must_prove(world: World) -> None:
    flow = world.policy.sign_in("s", "ada", "pw", key="k")
    assert proof_in(next(flow)) == Proof("k")
    flow.close()
    sign_in(world)
    assert proof_in(next(world.policy.call(world.get()))) is None
    assert proof_in(next(world.policy.renew())) == Proof("k", nonce="n1")


def test_the_policy_says_what_a_call_must_prove(world: World) -> None:
    sign_in(world, tokenType="dpop")
    token = world.session.require().tokens.access_token
    effect = next(world.policy.call(world.get()))
    assert proof_in(effect) == Proof("k", token, "n1")
    assert isinstance(effect, Send)
    assert effect.request.headers["authorization"] == f"DPoP {token}"
    assert "dpop" not in effect.request.headers


def test_the_first_proof_has_the_skew_of_the_session_before(world: World) -> None:
    world.clock.wall = NOW - 3600
    flow = world.policy.sign_in("s", "ada", "pw", key="k")
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(json_response(200, token_fields(now=NOW)))
    proof = proof_in(next(world.policy.sign_in("t", "ada", "pw", key="l")))
    assert proof is not None
    assert proof.skew == pytest.approx(3600, abs=5)


def test_a_new_key_that_is_lost_at_once_binds_nothing(world: World) -> None:
    flow = world.policy.sign_in("s", "ada", "pw", key="k")
    next(flow)
    assert proof_in(flow.throw(KeyLost())) is None
    with pytest.raises(StopIteration):
        flow.send(json_response(200, token_fields()))
    assert (world.session.record and world.session.record.key) is None
    assert (world.session.unbound_because, world.session.dropped_keys) == ("no_key", ["k"])


def test_a_call_whose_key_went_with_its_session_ends_as_that_did(world: World) -> None:
    sign_in(world, tokenType="DPoP")
    flow = world.policy.call(world.get())
    next(flow)
    assert flow.throw(KeyLost()) == SEE_OTHER_TABS
    world.sign_in("t")
    with pytest.raises(SessionEnded) as ended:
        next(flow)
    assert ended.value.code == "SIGNED_OUT"
    assert world.session.require().generation.session == "t"


def test_an_answer_from_elsewhere_asks_for_no_proof(world: World) -> None:
    """A redirect to another origin loses the token, and that origin's response says nothing."""
    sign_in(world, tokenType="DPoP")
    policy = world.policy
    flow = policy.call(world.get())
    next(flow)
    challenge = json_response(401, {"code": "USE_DPOP_NONCE", "nonce": "evil"})
    elsewhere = Response(401, content=challenge.content, url="https://evil.example/")
    with pytest.raises(StopIteration):
        flow.send(elsewhere)
    assert policy.nonces == {}


def test_a_nonce_in_any_response_is_for_the_next_call(world: World) -> None:
    """RFC 9449, section 8.2; a refresh brings a newer one."""
    sign_in(world, tokenType="DPoP")
    policy = world.policy
    flow = policy.call(world.get())
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(json_response(200, {}, dpop_nonce="n2"))
    proof = proof_in(next(policy.call(world.get())))
    assert proof is not None
    assert proof.nonce == "n2"
    renewal = policy.renew()
    refresh = proof_in(next(renewal))
    assert refresh is not None
    assert refresh.nonce == "n1"
    renewed = {**token_fields(2), "bound": True, "nonce": "n3", "tokenType": "DPoP"}
    with pytest.raises(StopIteration):
        renewal.send(json_response(200, renewed))
    proof = proof_in(next(policy.call(world.get())))
    assert proof is not None
    assert proof.nonce == "n3"


def test_a_sign_in_that_took_its_time_is_not_taken_for_a_refusal_by_cors() -> None:
    clock = FakeClock()
    options = Options(base_url=API, page_url="https://app.example/")
    policy = Policy(new_session(), options, clock)
    flow = policy.sign_in("s", "ada", "pw", key="k")
    next(flow)
    clock.advance(options.exchange_timeout)
    with pytest.raises(Unreachable):
        flow.throw(Unreachable())


# -- The stored record -------------------------------------------------------------------------


def bound_record(**changes: Any) -> str:
    server, store = SyncBindingServer(FakeClock()), MemoryStore()
    client = Client(server, prover=SyncFakeProver(), store=store, clock=server.clock, base_url=API)
    client.sign_in("ada", "pw")
    return json.dumps({**json.loads(store.load() or ""), **changes})


def test_a_bound_record_is_read_as_it_was_written() -> None:
    record = loads(bound_record(), API)
    assert (record.key, record.tokens.nonce, record.tokens.scheme) == (
        "HANDLE-1",
        "nonce-1",
        "Bearer",
    )
    assert record.tokens.is_bound
    assert loads(record.dumps(API), API) == record


def test_an_earlier_version_does_not_touch_a_bound_record() -> None:
    """It would lose the key; it knows records of version 1 only."""
    assert json.loads(bound_record())["version"] == 2


@pytest.mark.parametrize(
    "changes", [{"key": ""}, {"key": 7}, {"key": "a b"}, {"key": "k" * 1025}, {"scheme": "Basic"}]
)
def test_a_record_whose_binding_is_damaged_is_damaged(changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownRecord):
        loads(bound_record(**changes), API)


def test_a_damaged_nonce_costs_a_round_trip_and_no_session() -> None:
    assert loads(bound_record(nonce="a b"), API).tokens.nonce is None


# -- Nothing shows a key -----------------------------------------------------------------------


@dataclass
class TellingProver(FakeProver):
    """Its handles are secrets, as a program's are."""

    def _keep(self, key: Any) -> str | None:
        handle = f"{MARK}-{super()._keep(key)}"
        self.keys[handle] = key
        return handle


async def test_nothing_shows_a_key_or_a_proof(
    server: AsyncBindingServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.proves_calls = True
    prover = TellingProver()
    client = client_of(server, prover)
    await client.sign_in("ada", "pw")
    record = session_of(client).require()
    server.responses["/api/notes"] = lambda _: error_response(401, "INVALID_PROOF")
    refused = await client.get("/api/notes")
    seen: list[Any] = [client, record, refused, refused.request, client.diagnose()]
    server.refuses_proofs = True
    errors = [await raised(client.refresh())]
    prover.keys.clear()
    errors.append(await raised(client.get("/api/notes")))
    assert isinstance(errors[-1], SessionExpired)
    seen += [client.diagnose(), session_of(client).dropped_keys]
    proofs = [request.headers["dpop"] for request in server.received if "dpop" in request.headers]
    texts = [repr(one) for one in seen] + [text for error in errors for text in shown(error)]
    texts += [caplog.text, str(client.diagnose())]
    assert record.key is not None
    assert MARK in record.key
    assert [text for text in texts if MARK in text] == []
    assert [text for text in texts for proof in proofs if proof in text] == []
    assert isinstance(record, Record)


# -- A session that has changed while a nonce was asked for ------------------------------------

CHALLENGE = json_response(401, {"code": "USE_DPOP_NONCE", "nonce": "n2"})


def test_no_refresh_is_repeated_for_a_session_that_was_signed_out(world: World) -> None:
    sign_in(world)
    flow = world.policy.renew()
    next(flow)
    world.session.sign_out("here")
    with pytest.raises(SessionEnded):
        flow.send(CHALLENGE)


def test_no_refresh_is_repeated_for_tokens_that_another_tab_has_renewed(world: World) -> None:
    sign_in(world)
    flow, other = world.policy.renew(), world.policy.renew()
    next(flow)
    next(other)
    renewed = {**token_fields(2), "bound": True, "nonce": "n2"}
    with pytest.raises(StopIteration):
        other.send(json_response(200, renewed))
    with pytest.raises(StopIteration):
        flow.send(CHALLENGE)
    assert (world.session.state, world.session.require().generation.number) == ("active", 2)


def test_no_call_is_repeated_for_a_session_that_was_signed_out(world: World) -> None:
    sign_in(world, tokenType="DPoP")
    flow = world.policy.call(world.get())
    next(flow)
    world.session.sign_out("here")
    with pytest.raises(SessionEnded):
        flow.send(CHALLENGE)
