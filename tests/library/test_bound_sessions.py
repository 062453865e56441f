"""Sessions that are bound to a key of their device, with both clients."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import pytest

from tests.library.conftest import session_of
from tests.support.binding_server import AsyncBindingServer, SyncBindingServer
from tests.support.clock import FakeClock
from tests.support.fake_server import API, LIFE, error_response, json_response, token_fields
from tests.support.provers import FakeProver, SyncFakeProver, proof_of, read_proof
from unexpired import (
    AsyncClient,
    BadCredentials,
    Client,
    Dialect,
    MemoryStore,
    NotSignedIn,
    ReplayImpossible,
    Response,
    SessionEnded,
    SessionExpired,
    Unreachable,
)
from unexpired.policy import AGREEMENT_SECONDS
from unexpired.proofs import KeyLost
from unexpired.session_record import loads

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


async def settled() -> None:
    """Let what an async client does in the background end."""
    for _ in range(10):
        await asyncio.sleep(0)


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


async def test_a_nonce_is_used_until_the_server_gives_another(device: Device) -> None:
    """RFC 9449, section 8.2: a server that took one need not give it again."""
    device.server.tells_nonce, device.server.proves_calls = False, True
    await device.do("sign_in", "ada", "pw")
    for _ in range(3):
        await device.do("refresh")
        await device.do("get", "/api/notes")
    nonces = [proof.claims.get("nonce") for _, proof in device.server.proofs]
    assert nonces == [None, None, *["nonce-1"] * 6]


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


# -- Calls that need proofs --------------------------------------------------------------------


async def test_calls_bring_a_proof_where_the_server_wants_one(device: Device) -> None:
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")
    response = await device.do("post", "/api/notes?page=2", json={"text": "x"})
    assert response.status_code == 200
    assert device.proved("/api/notes") == [True]


async def test_a_new_nonce_for_calls_costs_one_round_trip_once(device: Device) -> None:
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")
    device.server.nonce = "nonce-2"
    statuses = [(await device.do("get", "/api/notes")).status_code for _ in range(2)]
    assert (statuses, len(device.proved("/api/notes"))) == ([200, 200], 3)
    await device.do("refresh")
    device.server.nonce = "nonce-3"
    await device.do("refresh")
    await device.do("get", "/api/notes")
    assert len(device.proved("/api/notes")) == 4


async def test_a_body_that_can_be_sent_once_is_not_sent_again_for_a_nonce(device: Device) -> None:
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")
    device.server.nonce = "nonce-2"
    with pytest.raises(ReplayImpossible):
        await device.do("post", "/api/notes", content=iter([b"x"]))
    response = await device.do("post", "/api/notes", content=iter([b"x"]))
    assert response.status_code == 200


async def test_a_server_that_refuses_every_proof_is_asked_twice_at_most(device: Device) -> None:
    """A call's proof may be refused as used: a browser may have sent the call twice by itself."""
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")
    device.server.refuses_proofs = True
    assert (await device.do("get", "/api/notes")).code == "INVALID_PROOF"
    with pytest.raises(Unreachable) as kept:
        await device.do("refresh")
    first, second = [proof for where, proof in device.server.proofs if where == "/api/notes"]
    assert first is not None
    assert second is not None
    assert first.claims["jti"] != second.claims["jti"]
    assert len(device.proved("/api/refresh")) == 1
    assert (device.client.state, device.key) == ("degraded", "HANDLE-1")
    reasons = [failure["reason"] for failure in device.client.diagnose()["last_failures"]]
    assert all("PUBLIC_URL" in text for text in (*reasons, *kept.value.__notes__))


@pytest.mark.parametrize(("headers", "sent"), [({}, 1), ({"Idempotency-Key": '"1"'}, 2)])
async def test_a_call_is_made_twice_only_if_that_does_no_harm(
    kind: Kind, headers: dict[str, str], sent: int
) -> None:
    device = kind.new(idempotency_keys=False)
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")
    device.server.refuses_proofs = True
    assert (await device.do("post", "/api/orders", headers=headers)).code == "INVALID_PROOF"
    assert len(device.proved("/api/orders")) == sent


async def test_a_server_that_wants_ever_newer_nonces_is_asked_twice(device: Device) -> None:
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")
    nonces = iter(f"never-{n}" for n in range(99))

    def challenge(_: Any) -> Response:
        return json_response(401, {"code": "USE_DPOP_NONCE"}, dpop_nonce=next(nonces))

    device.server.responses["/api/notes"] = challenge
    assert (await device.do("get", "/api/notes")).code == "USE_DPOP_NONCE"
    assert len(device.proved("/api/notes")) == 2


async def test_a_proof_follows_a_redirect_of_the_same_origin(device: Device) -> None:
    """The transport takes the header along, but the proof is for the URL before."""
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")

    def redirect(request: Any) -> Response:
        named = proof_of(request).claims["htu"]
        answer = {} if named == f"{API}/api/notes/" else {"code": "INVALID_PROOF"}
        response = json_response(401 if answer else 200, answer)
        return replace(response, url=f"{API}/api/notes/")

    device.server.responses["/api/notes"] = redirect
    assert (await device.do("get", "/api/notes")).status_code == 200
    assert len(device.proved("/api/notes")) == 2


async def test_a_proof_for_the_code_of_others_is_of_the_token_at_hand(device: Device) -> None:
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")
    token = await device.do("token")
    proof = read_proof(await device.do("proof", "get", "/chat?room=1"))
    ath = urlsafe_b64encode(sha256(token.encode()).digest()).rstrip(b"=").decode()
    assert (proof.claims["ath"], proof.claims["nonce"]) == (ath, "nonce-1")
    assert (proof.claims["htm"], proof.claims["htu"]) == ("GET", f"{API}/chat")


async def test_there_is_no_proof_where_calls_need_none(device: Device) -> None:
    with pytest.raises(NotSignedIn):
        await device.do("proof", "GET", "/chat")
    await device.do("sign_in", "ada", "pw")
    assert await device.do("proof", "GET", "/chat") is None


async def test_no_proof_goes_with_the_callers_own_credentials_or_elsewhere(device: Device) -> None:
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")
    del device.server.received[:]
    device.server.responses["/api/notes"] = lambda _: Response(200)
    await device.do("get", "/api/notes", headers={"Authorization": "Basic eA=="})
    await device.do("get", "/api/notes", auth=False)
    await device.do("get", f"{API}/api/notes", auth="optional")
    has_proof = ["dpop" in request.headers for request in device.server.received]
    assert has_proof == [False, False, True]


# -- A key that is lost ------------------------------------------------------------------------


async def test_a_lost_key_ends_the_session_when_its_token_ends(device: Device) -> None:
    await device.do("sign_in", "ada", "pw")
    ends: list[str] = []
    device.client.on("expired", ends.append)
    device.prover.keys.clear()
    with pytest.raises(SessionExpired) as lost:
        await device.do("refresh")
    assert lost.value.code == "KEY_LOST"
    assert (await device.do("get", "/api/notes")).status_code == 200
    assert (device.client.state, ends) == ("active", [])
    device.clock.advance(LIFE + 1)
    with pytest.raises(SessionExpired) as over:
        await device.do("get", "/api/notes")
    assert (over.value.code, ends, device.store.load()) == ("KEY_LOST", ["KEY_LOST"], None)
    assert (device.proved("/api/refresh"), device.server.count("/api/logout")) == ([], 0)
    assert device.prover.forgotten == ["HANDLE-1"]


async def test_a_lost_key_ends_the_session_at_once_where_calls_need_it(device: Device) -> None:
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")
    device.prover.keys.clear()
    with pytest.raises(SessionExpired) as lost:
        await device.do("get", "/api/notes")
    assert (lost.value.code, device.client.state) == ("KEY_LOST", "expired")
    assert device.server.count("/api/logout") == 0


async def test_a_request_that_needs_no_session_goes_on_without_a_lost_key(device: Device) -> None:
    """A public page stays as it is: nobody is redirected."""
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")
    device.prover.keys.clear()
    device.server.responses["/api/public"] = lambda _: json_response(200, {})
    response = await device.do("get", "/api/public", auth="optional")
    assert (response.status_code, device.client.state) == (200, "expired")
    assert session_of(device.client).is_end_quiet
    assert "authorization" not in device.server.received[-1].headers


async def test_a_proof_by_a_lost_key_ends_the_session(device: Device) -> None:
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")
    device.prover.keys.clear()
    with pytest.raises(SessionExpired):
        await device.do("proof", "GET", "/chat")
    assert (device.client.state, device.store.load()) == ("expired", None)


async def test_a_sign_in_after_a_lost_key_does_not_end_the_session_at_the_server(
    device: Device,
) -> None:
    """The stored session may be a copy: its owner must not be signed out by a thief."""
    await device.do("sign_in", "ada", "pw")
    device.prover.keys.clear()
    with pytest.raises(SessionExpired):
        await device.do("refresh")
    await device.do("sign_in", "eve", "pw")
    await settled()
    assert (device.server.count("/api/logout"), device.key) == (0, "HANDLE-2")


async def test_a_tab_that_cannot_find_the_key_leaves_the_session_to_another(kind: Kind) -> None:
    """It writes nothing, so a tab that has the key goes on, and this one follows it."""
    device = kind.new()
    await device.do("sign_in", "ada", "pw")
    first, keys, text = device.client, dict(device.prover.keys), device.store.load()
    kind.open(device)
    device.prover.keys.clear()
    with pytest.raises(SessionExpired):
        await device.do("refresh")
    assert dict(json.loads(text or ""), attempt="") == dict(device.stored, attempt="")
    device.prover.keys.update(keys)
    second, device.client = device.client, first
    await device.do("refresh")
    device.client = second
    await device.do("get", "/api/notes")
    assert session_of(second).require().can_renew
    await device.do("refresh")


def meanwhile(device: Device, action: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Do something while the client waits for what other tabs have just stored."""
    if isinstance(device.client, AsyncClient):
        asyncio.get_running_loop().call_later(AGREEMENT_SECONDS / 2, action)
    else:
        patch.setattr(device.clock, "sleep", lambda _seconds: action())


@pytest.mark.parametrize("call", [("proof", "GET", "/chat"), ("get", "/api/notes"), ("refresh",)])
async def test_a_key_that_went_with_its_session_ends_no_other_session(
    kind: Kind, call: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser may show another tab's removal of a key before its record of a new session."""
    device = kind.new()
    device.server.proves_calls = True
    await device.do("sign_in", "ada", "pw")
    mine, before = device.client, device.store.load() or ""
    kind.open(device)
    await device.do("sign_in", "bob", "pw")
    after = device.store.load() or ""
    device.store.save(before)
    device.client = mine

    def find(_handle: str) -> Any:
        meanwhile(device, lambda: device.store.save(after), monkeypatch)
        raise KeyLost

    monkeypatch.setattr(device.prover, "_find", find)
    with pytest.raises(SessionEnded) as ended:
        await device.do(*call)
    assert ended.value.code == "SIGNED_OUT"
    assert (device.client.state, device.key) == ("active", "HANDLE-2")
    assert device.store.load() == after


async def test_keys_that_cannot_be_read_now_end_nothing(device: Device) -> None:
    await device.do("sign_in", "ada", "pw")
    device.prover.is_readable = False
    with pytest.raises(Unreachable):
        await device.do("refresh")
    assert (device.client.state, device.key) == ("degraded", "HANDLE-1")
    device.prover.is_readable = True
    await device.do("refresh")
    assert device.client.state == "active"


async def test_a_client_that_keeps_no_keys_cannot_continue_a_bound_session(kind: Kind) -> None:
    device = kind.new()
    await device.do("sign_in", "ada", "pw")
    kind.open(device, prover=None)
    with pytest.raises(SessionExpired) as lost:
        await device.do("refresh")
    assert lost.value.code == "KEY_LOST"
    await device.do("sign_out")
    assert device.client.state == "anonymous"


async def test_a_bound_session_without_its_key_is_over_as_if_it_was_lost(device: Device) -> None:
    """A copy of a record without the key, or a program that keeps no keys."""
    await device.do("sign_in", "ada", "pw")
    record = {**device.stored, "key": None, "version": 1}
    device.store.save(json.dumps(record))
    await device.do("get", "/api/notes")
    session_of(device.client).record = loads(json.dumps(record))
    with pytest.raises(SessionExpired) as lost:
        await device.do("refresh")
    assert lost.value.code == "KEY_LOST"


# -- The end of a session, and of its key ------------------------------------------------------


async def test_a_key_is_forgotten_with_its_session(device: Device) -> None:
    await device.do("sign_in", "ada", "pw")
    await device.do("sign_in", "bob", "pw")
    await settled()
    assert device.prover.forgotten == ["HANDLE-1"]
    await device.do("sign_out")
    assert (device.prover.forgotten, device.prover.keys) == (["HANDLE-1", "HANDLE-2"], {})
    assert device.server.count("/api/logout") == 2


async def test_a_key_is_forgotten_when_the_server_ends_the_session(device: Device) -> None:
    await device.do("sign_in", "ada", "pw")
    device.server.responses["/api/notes"] = lambda _: error_response(401, "SESSION_REVOKED")
    with pytest.raises(SessionEnded):
        await device.do("get", "/api/notes")
    assert device.prover.forgotten == ["HANDLE-1"]


async def test_a_failed_sign_in_leaves_no_key_and_keeps_the_one_before(device: Device) -> None:
    await device.do("sign_in", "ada", "pw")
    device.server.jwk = None
    device.server.binds = False
    device.server.issue = lambda _: error_response(401, "BAD_CREDENTIALS")
    with pytest.raises(BadCredentials):
        await device.do("sign_in", "ada", "wrong")
    with pytest.raises(TypeError):
        await device.do("sign_in", "ada", "pw", otp=object())
    assert device.prover.forgotten == ["HANDLE-2", "HANDLE-3"]
    assert device.key == "HANDLE-1"


async def test_a_session_keeps_its_key_while_its_server_does_not_look_at_it(
    device: Device,
) -> None:
    """With ``DPOP=off`` a server says nothing of the key; set back, it wants the key again."""
    await device.do("sign_in", "ada", "pw")
    jwk, device.server.jwk = device.server.jwk, None
    await device.do("refresh")
    assert (device.key, device.prover.forgotten) == ("HANDLE-1", [])
    device.server.jwk = jwk
    await device.do("refresh")
    assert device.proved("/api/refresh") == [True, True]


async def test_a_session_that_another_tab_ends_takes_its_key_along(kind: Kind) -> None:
    device = kind.new()
    await device.do("sign_in", "ada", "pw")
    first = device.client
    kind.open(device)
    await device.do("sign_out")
    device.client = first
    with pytest.raises(NotSignedIn):
        await device.do("get", "/api/notes")
    assert set(device.prover.forgotten) == {"HANDLE-1"}


async def test_a_later_version_that_goes_on_with_a_session_finds_its_key(kind: Kind) -> None:
    """Only who ends a session forgets its key: for this version, a later one's record is none."""
    device = kind.new()
    await device.do("sign_in", "ada", "pw")
    device.store.save(json.dumps({**device.stored, "version": 3}))
    with pytest.raises(NotSignedIn):
        await device.do("get", "/api/notes")
    assert (device.prover.forgotten, device.stored["version"]) == ([], 3)


async def test_a_bound_response_to_a_sign_in_without_proof_is_not_bound(kind: Kind) -> None:
    device = kind.new(dpop="off")
    device.server.issue = lambda _: json_response(
        200, {**token_fields(), "bound": True, "nonce": "n", "tokenType": "DPoP"}
    )
    await device.do("sign_in", "ada", "pw")
    record = session_of(device.client).require()
    assert (record.key, record.tokens.scheme, record.tokens.nonce) == (None, "Bearer", None)


async def test_a_session_of_another_tab_has_no_reason_of_this_ones_sign_in(kind: Kind) -> None:
    device = kind.new()
    device.server.refuses_proofs = True
    await device.do("sign_in", "ada", "pw")
    first = device.client
    kind.open(device, dpop="off")
    await device.do("sign_in", "ada", "pw")
    device.client = first
    await device.do("get", "/api/notes")
    assert first.diagnose()["dpop"] == "The session began without a key."


async def test_an_adopted_session_has_no_reason_of_the_sign_in_before_it(device: Device) -> None:
    device.server.refuses_proofs = True
    await device.do("sign_in", "ada", "pw")
    await device.do("adopt", await device.do("post", "/api/signup", auth=False))
    assert device.client.diagnose()["dpop"] == "The session began without a key."
    await device.do("adopt", await device.do("post", "/api/signup", auth="sign_in"))
    assert "PUBLIC_URL" in device.client.diagnose()["dpop"]


# -- A sign-in whose proof is refused ----------------------------------------------------------


async def test_a_refused_proof_is_left_out_at_the_sign_in(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    device.server.refuses_proofs = True
    await device.do("sign_in", "ada", "pw")
    assert device.proved("/api/login") == [True, False]
    assert (device.key, device.prover.forgotten) == (None, ["HANDLE-1"])
    assert "PUBLIC_URL" in device.client.diagnose()["dpop"]
    assert "PUBLIC_URL" in caplog.text


@pytest.mark.parametrize(
    ("page", "sent"), [("https://app.example/", [True, False]), ("", [True]), (f"{API}/x", [True])]
)
async def test_a_sign_in_that_cors_may_have_stopped_is_sent_without_a_proof(
    kind: Kind, page: str, sent: list[bool]
) -> None:
    device = kind.new(page_url=page)
    attempts: list[bool] = []

    def stop(request: Any) -> Response:
        attempts.append("dpop" in request.headers)
        if attempts[-1]:
            raise Unreachable
        return json_response(200, token_fields())

    device.server.respond = stop
    try:
        await device.do("sign_in", "ada", "pw")
    except Unreachable:
        assert len(sent) == 1
    else:
        assert "CORS" in device.client.diagnose()["dpop"]
    assert (attempts, len(device.prover.forgotten)) == (sent, 1)


# -- A sign-in of the application's own --------------------------------------------------------


async def test_a_sign_up_without_a_response_is_not_sent_again(kind: Kind) -> None:
    """It may have arrived, and a second one would meet the account that it has made."""
    device = kind.new(page_url="https://app.example/")
    received: list[str] = []

    def stop(request: Any) -> Response:
        received.append(request.url)
        raise Unreachable

    device.server.respond = stop
    with pytest.raises(Unreachable):
        await device.do("post", "/api/signup", json={"username": "ada"}, auth="sign_in")
    assert (len(received), len(device.prover.forgotten)) == (1, 1)


async def test_a_sign_up_is_bound_when_its_response_is_adopted(device: Device) -> None:
    response = await device.do("post", "/api/signup", json={"username": "ada"}, auth="sign_in")
    assert device.prover.forgotten == []
    await device.do("adopt", response)
    assert device.key == "HANDLE-1"
    await device.do("refresh")
    assert (device.proved("/api/signup"), device.proved("/api/refresh")) == ([True], [True])


async def test_a_sign_up_whose_refresh_token_is_in_a_cookie_is_bound_as_well(kind: Kind) -> None:
    device = kind.new(storage="cookie", page_url=f"{API}/")

    def issue(_: Any) -> Response:
        fields = {**token_fields(1, now=device.clock.wall), "refreshToken": None}
        return json_response(200, {**fields, "bound": True, "nonce": "nonce-1"})

    device.server.issue = issue
    await device.do("adopt", await device.do("post", "/api/signup", auth="sign_in"))
    assert (device.key, device.prover.forgotten) == ("HANDLE-1", [])


async def test_each_response_takes_its_own_key_and_a_mapping_the_last(device: Device) -> None:
    first = await device.do("post", "/api/signup", auth="sign_in")
    second = await device.do("post", "/api/signup", auth="sign_in")
    await device.do("adopt", first)
    assert device.key == "HANDLE-1"
    await device.do("adopt", second.json())
    assert (device.key, device.prover.forgotten) == ("HANDLE-2", ["HANDLE-1"])


async def test_keys_of_sign_ups_that_failed_or_are_not_adopted_are_forgotten(
    device: Device,
) -> None:
    for _ in range(6):
        await device.do("post", "/api/signup", auth="sign_in")
    assert device.prover.forgotten == ["HANDLE-1", "HANDLE-2"]
    device.server.issue = lambda _: error_response(409, "TAKEN")
    await device.do("post", "/api/signup", auth="sign_in")
    assert device.prover.forgotten[2:] == ["HANDLE-7"]


async def test_a_sign_up_carries_no_token_and_needs_no_session(device: Device) -> None:
    await device.do("sign_in", "ada", "pw")
    await device.do("post", "/api/signup", auth="sign_in")
    await device.do("post", "https://other.example/x", auth="sign_in")
    sent = device.server.received[-1]
    assert (device.key, len(device.prover.created)) == ("HANDLE-1", 2)
    assert not {"authorization", "dpop"} & {*sent.headers}


async def test_an_unbound_response_that_is_adopted_begins_an_unbound_session(
    device: Device,
) -> None:
    device.server.binds = False
    response = await device.do("post", "/api/signup", auth="sign_in")
    await device.do("adopt", response)
    assert (device.key, device.prover.keys) == (None, {})


# -- Other servers -----------------------------------------------------------------------------


async def test_an_oauth_server_binds_tokens_where_its_dialect_says_so(kind: Kind) -> None:
    """RFC 9449, section 5: the token's type says whether it is bound."""
    device = kind.new(dialect=Dialect.oauth("app", dpop=True), margin=0)
    fields = {"access_token": "a1", "refresh_token": "r1", "expires_in": 900, "token_type": "DPoP"}
    nonces = iter(["n1", None, None])

    def answer(request: Any) -> Response:
        if nonce := next(nonces):
            return json_response(400, {"error": "use_dpop_nonce"}, dpop_nonce=nonce)
        assert proof_of(request).claims["nonce"] == "n1"
        return json_response(200, fields, dpop_nonce="n1")

    device.server.respond = answer
    with pytest.warns(DeprecationWarning, match="RFC 9700"):
        await device.do("sign_in", "ada", "pw")
    await device.do("refresh")
    record = session_of(device.client).require()
    assert (record.key, record.tokens.scheme, record.tokens.nonce) == ("HANDLE-1", "DPoP", "n1")
