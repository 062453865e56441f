"""From a request to the key that it proves: headers, URLs, times, and proofs that were used."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from starlette.requests import HTTPConnection, Request

from tests.server.harness import PASSWORD, StartServer, other_key
from tests.support.clock import FakeClock
from tests.support.proof_maker import ProofMaker
from unexpired_server.errors import InvalidProof, UseDPoPNonce
from unexpired_server.http.proofs import ProofChecker
from unexpired_server.settings import Settings
from unexpired_server.tokens.keys import KeyRing, ring_of

HOST = "api.example"
LOGIN = f"https://{HOST}/api/login"
CALL = f"https://{HOST}/api/notes"
TOKEN = "header.payload.signature"


@pytest.fixture
def ring() -> KeyRing:
    return ring_of(other_key())


def request_to(path: str, *proofs: str, method: str = "POST", **scope: Any) -> Request:
    """A request as an ASGI server passes it on."""
    headers = [(b"host", scope.pop("host", HOST).encode())]
    headers += [(b"dpop", proof.encode("latin-1")) for proof in proofs]
    first = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "headers": headers, "scheme": "http", "query_string": b"", "root_path": "",
    }  # fmt: skip
    return Request({**first, **scope})


def checker_of(clock: FakeClock, ring: KeyRing, **settings: Any) -> ProofChecker:
    return ProofChecker(Settings(**settings), ring, clock)


@pytest.fixture
def checker(clock: FakeClock, ring: KeyRing) -> ProofChecker:
    return checker_of(clock, ring)


async def call(
    checker: ProofChecker, maker: ProofMaker, proof: str, jkt: str | None = None
) -> None:
    request = request_to("/api/notes", proof, method="GET")
    await checker.check_call(request, TOKEN, jkt or maker.jkt)


def proof_of_call(maker: ProofMaker, nonce: str | None, **changes: Any) -> str:
    return maker.proof("GET", CALL, nonce=nonce, **({"access_token": TOKEN} | changes))


def test_a_sign_in_is_bound_to_the_key_of_its_proof(
    checker: ProofChecker, maker: ProofMaker
) -> None:
    proof = maker.proof("POST", LOGIN)
    assert checker.sign_in_key(request_to("/api/login", proof)) == maker.jkt
    assert checker.sign_in_key(request_to("/api/login")) is None


def test_a_required_proof_must_be_there(clock: FakeClock, ring: KeyRing, maker: ProofMaker) -> None:
    checker = checker_of(clock, ring, dpop_required=True)
    with pytest.raises(InvalidProof):
        checker.sign_in_key(request_to("/api/login"))
    proof = maker.proof("POST", LOGIN)
    assert checker.sign_in_key(request_to("/api/login", proof)) == maker.jkt


def test_switched_off_no_header_is_read(clock: FakeClock, ring: KeyRing) -> None:
    checker = checker_of(clock, ring, dpop="off")
    assert checker.sign_in_key(request_to("/api/login", "x", "y")) is None
    assert checker.refresh_key(request_to("/api/refresh", "x", "y")) is None


def test_two_headers_are_refused_even_where_both_are_good(
    checker: ProofChecker, maker: ProofMaker
) -> None:
    proofs = maker.proof("POST", LOGIN), maker.proof("POST", LOGIN)
    for texts in (proofs, (", ".join(proofs),), ("", proofs[0]), ("",)):
        with pytest.raises(InvalidProof):
            checker.sign_in_key(request_to("/api/login", *texts))


@pytest.mark.parametrize("wrong", [-61, 61, -1e9, 1e9])
def test_a_wrong_clock_costs_a_sign_in_one_round_trip(
    checker: ProofChecker, clock: FakeClock, maker: ProofMaker, wrong: float
) -> None:
    iat = clock() + wrong
    with pytest.raises(UseDPoPNonce) as caught:
        checker.sign_in_key(request_to("/api/login", maker.proof("POST", LOGIN, iat=iat)))
    proof = maker.proof("POST", LOGIN, iat=iat, nonce=caught.value.nonce)
    assert checker.sign_in_key(request_to("/api/login", proof)) == maker.jkt


@pytest.mark.parametrize("wrong", [-60, 60, 0])
def test_a_clock_that_is_almost_right_costs_a_sign_in_nothing(
    checker: ProofChecker, clock: FakeClock, maker: ProofMaker, wrong: float
) -> None:
    proof = maker.proof("POST", LOGIN, iat=clock() + wrong)
    assert checker.sign_in_key(request_to("/api/login", proof)) == maker.jkt


def test_a_refresh_always_needs_a_nonce(
    checker: ProofChecker, clock: FakeClock, maker: ProofMaker
) -> None:
    """Code that was injected once must not make proofs ahead for later."""
    url = f"https://{HOST}/api/refresh"
    request = request_to("/api/refresh", maker.proof("POST", url))
    with pytest.raises(UseDPoPNonce) as caught:
        checker.refresh_key(request)
    request = request_to("/api/refresh", maker.proof("POST", url, nonce=caught.value.nonce))
    assert checker.refresh_key(request) == maker.jkt
    assert checker.refresh_key(request) == maker.jkt
    clock.advance(900 + 60 + 60 + 61)
    with pytest.raises(UseDPoPNonce):
        checker.refresh_key(request)
    assert checker.refresh_key(request_to("/api/refresh")) is None


@pytest.mark.parametrize("nonce", ["", "x", "A" * 64, "A" * 65, "n" * 2000, "€", "\x00"])
def test_a_nonce_that_is_not_ours_is_answered_with_one_that_is(
    checker: ProofChecker, maker: ProofMaker, nonce: str
) -> None:
    proof = maker.proof("POST", LOGIN, nonce=nonce)
    with pytest.raises(UseDPoPNonce if nonce else InvalidProof):
        checker.sign_in_key(request_to("/api/login", proof))


async def test_a_call_proves_the_key_of_its_token_once(
    checker: ProofChecker, maker: ProofMaker
) -> None:
    proof = proof_of_call(maker, checker.nonce())
    await call(checker, maker, proof)
    with pytest.raises(InvalidProof):
        await call(checker, maker, proof)
    await call(checker, maker, proof_of_call(maker, checker.nonce()))


async def test_a_call_by_another_key_for_another_token_or_without_a_proof_is_refused(
    checker: ProofChecker, maker: ProofMaker
) -> None:
    nonce = checker.nonce()
    for proof, jkt in (
        (proof_of_call(maker, nonce), ProofMaker().jkt),
        (proof_of_call(maker, nonce, access_token="other"), None),
        (proof_of_call(maker, nonce, access_token=None), None),
    ):
        with pytest.raises(InvalidProof):
            await call(checker, maker, proof, jkt)
    with pytest.raises(InvalidProof):
        await checker.check_call(request_to("/api/notes", method="GET"), TOKEN, maker.jkt)


async def test_a_call_needs_a_nonce_however_right_the_clock_is(
    checker: ProofChecker, maker: ProofMaker
) -> None:
    with pytest.raises(UseDPoPNonce) as caught:
        await call(checker, maker, proof_of_call(maker, None))
    await call(checker, maker, proof_of_call(maker, caught.value.nonce, iat=1))


async def test_a_websocket_is_the_get_that_opened_it(
    checker: ProofChecker, maker: ProofMaker
) -> None:
    scope = {**request_to("/api/feed").scope, "type": "websocket", "scheme": "ws"}
    del scope["method"]
    for url in (f"wss://{HOST}/api/feed", f"https://{HOST}/api/feed"):
        proof = maker.proof("GET", url, nonce=checker.nonce(), access_token=TOKEN)
        await checker.check_text(proof, HTTPConnection(scope), TOKEN, maker.jkt)


def test_trusted_proxies_without_a_public_url_are_warned_of_once(
    clock: FakeClock, ring: KeyRing, caplog: pytest.LogCaptureFixture
) -> None:
    proxies = ("10.0.0.1",)
    checker_of(clock, ring).advise()
    checker_of(clock, ring, trusted_proxies=proxies, dpop="off").advise()
    checker_of(clock, ring, trusted_proxies=proxies, public_url="https://a.example").advise()
    assert caplog.records == []
    checker_of(clock, ring, trusted_proxies=proxies).advise()
    assert ["UNEXPIRED_PUBLIC_URL is not set" in r.getMessage() for r in caplog.records] == [True]


def test_a_proof_for_another_url_is_logged_once_with_what_to_set(
    checker: ProofChecker, maker: ProofMaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(3):
        proof = maker.proof("POST", "https://secret.example/api/login")
        with pytest.raises(InvalidProof):
            checker.sign_in_key(request_to("/api/login", proof))
    (record,) = caplog.records
    assert "set UNEXPIRED_PUBLIC_URL" in record.getMessage()
    assert "secret" not in record.getMessage()


async def test_a_server_behind_proxies_warns_once_at_its_start(
    start: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    await start(trusted_proxies=("127.0.0.1",))
    assert caplog.text.count("UNEXPIRED_PUBLIC_URL is not set") == 1
    caplog.clear()
    await start(trusted_proxies=("127.0.0.1",), public_url="http://test")
    assert "UNEXPIRED_PUBLIC_URL" not in caplog.text


@pytest.mark.parametrize("url", ["https://testserver/api/login", "http://TESTSERVER:80/api/login"])
async def test_a_login_is_bound_however_its_url_is_spelled(start: StartServer, url: str) -> None:
    node = await start()
    maker = ProofMaker(node.clock)
    body = {"username": "ada", "password": PASSWORD}
    headers = {"DPoP": maker.proof("POST", url), "Host": "testserver"}
    response = await node.http.post("/api/login", json=body, headers=headers)
    assert (response.status_code, response.json()["bound"]) == (200, True)


async def test_what_is_wrong_with_a_proof_shows_in_no_response(
    start: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    """One status, one body and the same headers for all; and no part of a proof in a log."""
    caplog.set_level(logging.DEBUG)
    node = await start()
    maker, url = ProofMaker(node.clock), "http://testserver/api/login"
    good = maker.proof("POST", url)
    texts = [
        "x", "", good + "A", maker.proof("GET", url), maker.proof("POST", f"{url}/x"),
        maker.proof("POST", url, jti=None), maker.proof("POST", url, iat="now"),
        maker.proof("POST", url, header={"alg": "none"}), maker.proof("POST", url, jti="x" * 200),
        maker.proof("POST", url, header={"jwk": maker.jwk | {"d": "x" * 43}}), "x" * 60_000,
    ]  # fmt: skip
    answers = set()
    for text in texts:
        headers = [(b"host", b"testserver"), (b"dpop", text.encode())]
        headers.append((b"content-type", b"application/json"))
        # Even with a wrong password: the proof is judged first.
        response = await node.raw("POST", "/api/login", headers, b'{"username":"a","password":"b"}')
        shown = {name: value for name, value in response.headers.items() if name != "x-request-id"}
        answers.add((response.status, response.body, str(sorted(shown.items()))))
    assert [status for status, _, _ in answers] == [401]
    assert b"INVALID_PROOF" in next(body for _, body, _ in answers)
    for segment in good.split("."):
        assert segment not in caplog.text
