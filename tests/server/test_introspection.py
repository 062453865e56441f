"""Verification by introspection (RFC 7662): what is accepted, and what a broken endpoint may do."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from tests.support.clock import FakeClock
from tests.support.fake_introspection import (
    CLIENT_ID,
    CLIENT_SECRET,
    ENDPOINT,
    FakeIntrospection,
)
from tests.support.fake_issuer import AUDIENCE, Answer
from tests.support.own_certificate import self_signed_certificate
from tests.support.proof_maker import ProofMaker
from tests.support.server_process import clean_environment
from unexpired_server import (
    Auth,
    Call,
    Claims,
    IntrospectionVerifier,
    InvalidProof,
    TokenError,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    Unavailable,
    failure_response,
)
from unexpired_server.http import sockets
from unexpired_server.tokens import documents, forms, introspection, workers
from unexpired_server.tokens.answer_cache import REFUSED_SECONDS, token_key
from unexpired_server.tokens.documents import WrongDocumentError
from unexpired_server.tokens.forms import Form
from unexpired_server.tokens.introspected_tokens import (
    Inactive,
    IntrospectedTokens,
    Unacceptable,
    accepted,
)

URL = "https://issuer.example/introspect"


@pytest.fixture
def server(clock: FakeClock) -> Iterator[FakeIntrospection]:
    with FakeIntrospection(clock) as one:
        yield one


def verifier_of(
    server: FakeIntrospection, clock: FakeClock, **options: Any
) -> IntrospectionVerifier:
    given: dict[str, Any] = {
        "url": server.endpoint,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "audience": AUDIENCE,
        "now": clock,
    }
    return IntrospectionVerifier(**(given | options))


@pytest.fixture
def checks(server: FakeIntrospection, clock: FakeClock) -> IntrospectionVerifier:
    return verifier_of(server, clock)


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    ends_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.001)


# -- What is asked, and of whom --------------------------------------------------------------------


async def test_an_active_token_is_its_users(
    server: FakeIntrospection, checks: IntrospectionVerifier
) -> None:
    token = server.issue(sid="one", username="Ada")
    claims = await checks.authenticate(f"Bearer {token}")
    assert claims == Claims("ada", "one", frozenset({"orders:read", "orders:write"}))
    assert claims.claims["client_id"] == "web"
    assert claims.claims["username"] == "Ada"
    assert checks.authenticate_sync(f"bearer {token}") == claims
    (asked,) = server.asked
    assert asked.path == ENDPOINT
    assert asked.fields == {"token": [token], "token_type_hint": ["access_token"]}
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["accept"] == "application/json"


@pytest.mark.parametrize("issuer", ["", "/"])
async def test_the_endpoint_is_found_by_the_issuers_name(
    server: FakeIntrospection, clock: FakeClock, issuer: str
) -> None:
    server.metadata["issuer"] += issuer
    name = server.url + issuer
    token = server.issue(iss=name)
    checks = verifier_of(server, clock, url=None, issuer=name)
    assert (await checks.verify(token)).user_id == "ada"
    assert verifier_of(server, clock, url=None, issuer=name).verify_sync(token).user_id == "ada"


@pytest.mark.parametrize(
    "endpoint", [None, "http://issuer.example/introspect", "file:///etc/passwd", ["https://a"]]
)
async def test_an_issuer_that_names_no_endpoint_is_an_outage(
    server: FakeIntrospection,
    clock: FakeClock,
    endpoint: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.metadata["introspection_endpoint"] = endpoint
    checks = verifier_of(server, clock, url=None, issuer=server.url)
    with pytest.raises(Unavailable):
        await checks.verify(server.issue())
    with pytest.raises(Unavailable):
        checks.verify_sync("opaque")
    assert "names no https URL as its introspection_endpoint" in caplog.text
    assert server.asked == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": None}, "url= or issuer= is needed"),
        ({"url": "http://issuer.example/"}, "url= must be an https URL"),
        ({"url": "issuer.example"}, "url= must be an https URL"),
        ({"url": "https://me:pw@issuer.example/"}, "url= must be an https URL"),
        ({"url": "https://[::1"}, "url= must be an https URL"),
        ({"url": f"{URL}#a"}, "url= must be an https URL"),
        ({"url": None, "issuer": "http://issuer.example"}, "https URL"),
        ({"user_claim": ""}, "user_claim= is needed"),
        ({"client_id": ""}, "client_id= is needed"),
        ({"client_secret": ""}, "client_secret= is needed"),
        ({"client_secret": b"bytes"}, "client_secret= is needed"),
        ({"audience": ""}, "audience= is needed"),
        ({"cache_seconds": -1}, "cache_seconds="),
        ({"cache_seconds": 3601}, "cache_seconds="),
        ({"cache_seconds": float("nan")}, "cache_seconds="),
        ({"cache_size": 0}, "cache_size="),
    ],
)
def test_a_wrong_argument_is_named_at_once(arguments: dict[str, Any], message: str) -> None:
    good = {"url": URL, "client_id": "a", "client_secret": CLIENT_SECRET, "audience": AUDIENCE}
    given: dict[str, Any] = good | arguments
    with pytest.raises(ValueError, match=message) as refused:
        IntrospectionVerifier(**given)
    assert CLIENT_SECRET not in str(refused.value)
    with pytest.raises(TypeError, match="audience"):  # Which tokens are accepted depends on it.
        IntrospectionVerifier(URL, client_id="a", client_secret="b")  # type: ignore[call-arg]


async def test_nobody_is_asked_about_what_no_server_issues(
    server: FakeIntrospection, checks: IntrospectionVerifier
) -> None:
    for token in ("a b", "ä", "x" * 20_000, "a\nb", '{"a":1}', "=", "\udc80"):
        with pytest.raises(TokenInvalid):
            await checks.verify(token)
        with pytest.raises(TokenInvalid):
            checks.verify_sync(token)
    for header in (None, "", "Basic abc"):
        with pytest.raises(TokenMissing):
            await checks.authenticate(header)
    assert server.asked == []


async def test_a_proxy_does_not_see_what_goes_to_this_machine(
    server: FakeIntrospection, checks: IntrospectionVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert (await checks.verify(server.issue())).user_id == "ada"


def test_a_server_whose_certificate_is_not_trusted_sees_no_token(
    clock: FakeClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    certificate = self_signed_certificate(tmp_path)
    monkeypatch.setattr(forms, "is_loopback", lambda _host: False)
    server = FakeIntrospection(clock)
    server.use_tls(certificate)
    with server:
        forms._opener.cache_clear()  # noqa: SLF001 - the certificates are read once
        with pytest.raises(Unavailable):
            verifier_of(server, clock).verify_sync(server.issue())
        assert server.asked == []
        assert "CERTIFICATE_VERIFY_FAILED" in caplog.text
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        forms._opener.cache_clear()  # noqa: SLF001 - the certificates are read once
        assert verifier_of(server, clock).verify_sync("opaque").user_id == "ada"
    forms._opener.cache_clear()  # noqa: SLF001 - nothing else trusts it


# -- What the answer means -------------------------------------------------------------------------

GOOD: dict[str, Any] = {"issuer": "https://a", "audience": AUDIENCE}


@pytest.mark.parametrize(
    ("members", "options"),
    [
        ({}, {}),
        ({"aud": AUDIENCE}, {}),
        ({"aud": ["other", AUDIENCE]}, {}),
        ({"iss": None}, GOOD),
        ({"iss": "https://a"}, GOOD),
        ({"iss": "https://b"}, {}),
        ({"aud": None}, {"audience": None}),
        ({"token_type": "bearer"}, {}),
        ({"token_type": None}, {}),
        ({"exp": None, "iat": None, "scope": None}, {}),
        ({"typ": "Bearer", "token_use": "access_token"}, {}),
        ({"sub": None, "username": "ada"}, {"user_claim": "username"}),
        (
            {"aud": None, "iss": None, "token_type": None},
            {"audience": None, "needs_token_type": False},
        ),
    ],
)
async def test_what_the_standard_leaves_open_is_accepted(
    server: FakeIntrospection, clock: FakeClock, members: dict[str, Any], options: dict[str, Any]
) -> None:
    checks = verifier_of(server, clock, **options)
    assert (await checks.verify(server.issue(**members))).user_id == "ada"
    server.tokens["nulls"] = server.tokens["opaque"] | {"sid": None, "nbf": None}
    assert checks.verify_sync("nulls").session_id == ""


@pytest.mark.parametrize(
    ("members", "options"),
    [
        ({"aud": "https://other.example"}, {}),
        ({"aud": None}, {}),
        ({"aud": []}, {}),
        ({"aud": [AUDIENCE, 1]}, {}),
        ({"aud": {AUDIENCE: 1}}, {}),
        ({"iss": "https://b"}, GOOD),
        ({"iss": "https://a/"}, GOOD),
        ({"iss": ["https://a"]}, GOOD),
        ({"sub": None}, {}),
        ({"sub": ""}, {}),
        ({"sub": 1}, {}),
        ({"sid": 1}, {}),
        ({"sub": "ada"}, {"user_claim": "username"}),
        ({"token_type": "refresh_token"}, {"audience": None, "needs_token_type": False}),
        ({"typ": "Refresh", "token_type": None}, {"audience": None, "needs_token_type": False}),
        ({"exp": "1800000300"}, {}),
        ({"exp": True}, {}),
        ({"iat": []}, {}),
        ({"nbf": -1}, {}),
        ({"scope": 1}, {}),
        ({"cnf": {"x5t#S256": "a"}}, {}),
        ({"cnf": {}}, {}),
        ({"cnf": "a"}, {}),
        # Refresh tokens are active, too.
        ({"token_type": None}, {"audience": None}),
        ({"token_type": "refresh_token"}, {}),
        ({"token_type": "N_A"}, {}),
        ({"token_type": ["Bearer"]}, {}),
        ({"token_use": "refresh_token"}, {}),
        ({"typ": "Refresh"}, {}),
        ({"typ": "ID"}, {}),
        # Without a key to prove, a thief could use it (RFC 9449, section 6.2).
        ({"token_type": "DPoP"}, {}),
    ],
)
async def test_what_is_no_access_token_for_this_service_is_invalid(
    server: FakeIntrospection, clock: FakeClock, members: dict[str, Any], options: dict[str, Any]
) -> None:
    checks = verifier_of(server, clock, **options)
    token = server.issue(**members)
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            await checks.authenticate(f"Bearer {token}")
        with pytest.raises(TokenInvalid):
            checks.verify_sync(token)
    assert len(server.asked) == 1


async def test_a_null_confirmation_binds_nothing_and_is_refused(
    server: FakeIntrospection, checks: IntrospectionVerifier
) -> None:
    server.issue()
    server.tokens["opaque"]["cnf"] = None
    with pytest.raises(TokenInvalid):
        await checks.verify("opaque")


async def test_an_issuers_name_that_misses_a_slash_is_logged_once(
    server: FakeIntrospection, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    checks = verifier_of(server, clock, issuer=f"{server.url}/")
    for number in range(3):
        with pytest.raises(TokenInvalid):
            await checks.verify(server.issue(f"token{number}"))
    (record,) = caplog.records
    assert f"give issuer='{server.url}'" in record.getMessage()


async def test_times_are_checked_with_a_leeway(
    server: FakeIntrospection, checks: IntrospectionVerifier, clock: FakeClock
) -> None:
    assert (await checks.verify(server.issue("early", nbf=clock() + 60))).user_id
    for late in ({"nbf": clock() + 61}, {"iat": clock() + 61}):
        with pytest.raises(TokenError):
            await checks.verify(server.issue(f"too-{'-'.join(late)}", **late))
    assert checks.verify_sync(server.issue("late", exp=clock() + 1)).user_id


async def test_an_inactive_token_is_refreshed_and_not_the_end_of_a_session(
    server: FakeIntrospection, checks: IntrospectionVerifier
) -> None:
    """The endpoint does not say why: most inactive tokens have expired."""
    with pytest.raises(TokenExpired) as refused:
        await checks.authenticate("DPoP unknown")
    response = failure_response(refused.value)
    assert response.status == 401
    assert json.loads(response.body)["code"] == "TOKEN_EXPIRED"
    assert "expiredAt" not in json.loads(response.body)
    assert response.headers["WWW-Authenticate"].startswith("DPoP ")
    with pytest.raises(TokenExpired):
        checks.authenticate_sync("Bearer unknown")
    assert len(server.asked) == 1
    assert server.tokens == {}


# -- Tokens that are bound to a key ----------------------------------------------------------------


async def test_a_bound_token_needs_a_proof_with_each_request(
    server: FakeIntrospection, checks: IntrospectionVerifier, clock: FakeClock
) -> None:
    key, url = ProofMaker(clock), "https://orders.example/mine"
    token = server.issue(cnf={"jkt": key.jkt}, token_type="DPoP")
    header = f"DPoP {token}"

    def proof(maker: ProofMaker = key) -> Call:
        return Call("GET", url, maker.proof("GET", url, access_token=token))

    assert (await checks.authenticate(header, proof())).jkt == key.jkt
    assert checks.authenticate_sync(header, proof()).jkt == key.jkt
    assert (await checks.verify(token, proof())).jkt
    assert checks.verify_sync(token, proof()).jkt
    used = proof()
    await checks.verify(token, used)
    for call in (None, Call("GET", url), used, proof(ProofMaker(clock))):
        with pytest.raises(InvalidProof):
            await checks.authenticate(header, call)
        with pytest.raises(InvalidProof):
            checks.authenticate_sync(header, call)
    with pytest.raises(InvalidProof):
        await checks.authenticate(f"Bearer {token}", proof())
    assert (await checks.verify_again(token)).jkt  # An open WebSocket has proved it before.


# -- The cache -------------------------------------------------------------------------------------


async def test_an_answer_is_used_for_its_time_and_a_revocation_is_seen_after_it(
    server: FakeIntrospection, clock: FakeClock
) -> None:
    checks = verifier_of(server, clock, cache_seconds=20)
    token = server.issue()
    await checks.verify(token)
    server.revoke(token)
    clock.advance(19.9)
    assert (await checks.verify(token)).user_id
    assert checks.verify_sync(token).user_id
    assert len(server.asked) == 1
    clock.advance(0.1)
    with pytest.raises(TokenExpired):
        await checks.verify(token)
    with pytest.raises(TokenExpired):
        checks.verify_sync(token)
    assert len(server.asked) == 2


async def test_the_time_of_an_answer_begins_when_it_was_asked_for(
    server: FakeIntrospection, clock: FakeClock
) -> None:
    checks = verifier_of(server, clock, cache_seconds=20)
    token = server.issue()
    server.open.clear()
    waiting = asyncio.create_task(checks.verify(token))
    while not server.asked:
        await asyncio.sleep(0.001)
    clock.advance(19)
    server.open.set()
    await waiting
    server.revoke(token)
    clock.advance(1)
    with pytest.raises(TokenExpired):
        await checks.verify(token)


async def test_an_answer_is_never_used_after_the_end_of_its_token(
    server: FakeIntrospection, checks: IntrospectionVerifier, clock: FakeClock
) -> None:
    token = server.issue(exp=int(clock()) + 10)
    await checks.verify(token)
    clock.advance(9.9)
    await checks.verify(token)
    assert len(server.asked) == 1
    clock.advance(0.1)
    with pytest.raises(TokenExpired) as refused:
        await checks.verify(token)
    assert refused.value.expired_at == clock()
    assert len(server.asked) == 2
    ahead = server.issue("ahead", exp=int(clock()) + 10)
    await checks.verify(ahead)
    clock.advance(70)  # With the leeway: nobody needs to be asked.
    with pytest.raises(TokenExpired) as refused:
        checks.verify_sync(ahead)
    assert refused.value.expired_at == clock() - 60
    assert len(server.asked) == 3


async def test_a_server_whose_clock_is_behind_decides_within_the_leeway(
    server: FakeIntrospection, checks: IntrospectionVerifier, clock: FakeClock
) -> None:
    server._now = lambda: clock() - 30  # noqa: SLF001 - its own clock
    token = server.issue(exp=int(clock()) + 10)
    clock.advance(39)
    assert (await checks.verify(token)).user_id
    assert (await checks.verify(token)).user_id
    assert len(server.asked) == 2
    clock.advance(1)
    with pytest.raises(TokenExpired):
        await checks.verify(token)


async def test_a_clock_that_is_set_back_makes_no_answer_last_longer(
    server: FakeIntrospection, checks: IntrospectionVerifier, clock: FakeClock
) -> None:
    await checks.verify(server.issue())
    clock.advance(-1000)
    server.issue(iat=int(clock()))
    await checks.verify("opaque")
    assert len(server.asked) == 2


async def test_a_refusal_is_kept_for_a_moment_only(
    server: FakeIntrospection, checks: IntrospectionVerifier, clock: FakeClock
) -> None:
    """A token may be newer than what a replica of the issuer knows."""
    for _ in range(3):
        with pytest.raises(TokenExpired):
            await checks.verify("opaque")
    assert len(server.asked) == 1
    server.issue()
    clock.advance(REFUSED_SECONDS)
    assert (await checks.verify("opaque")).user_id


async def test_without_a_cache_each_call_asks(server: FakeIntrospection, clock: FakeClock) -> None:
    checks = verifier_of(server, clock, cache_seconds=0)
    token = server.issue()
    for _ in range(3):
        await checks.verify(token)
    assert len(server.asked) == 3
    server.revoke(token)
    for _ in range(2):
        with pytest.raises(TokenExpired):
            checks.verify_sync(token)
    assert len(server.asked) == 5


async def test_the_cache_is_bounded_and_invented_tokens_evict_no_real_ones(
    server: FakeIntrospection, clock: FakeClock
) -> None:
    checks = verifier_of(server, clock, cache_size=3)
    for number in range(4):
        await checks.verify(server.issue(f"token{number}"))
        await checks.verify("token0")  # The most recently used stays.
    for number in range(10):
        with pytest.raises(TokenExpired):
            await checks.verify(f"invented{number}")
    assert len(checks._cache) == 6  # noqa: SLF001 - three of each
    asked = len(server.asked)
    for number in (0, 2, 3):
        await checks.verify(f"token{number}")
    assert len(server.asked) == asked
    await checks.verify("token1")
    assert len(server.asked) == asked + 1


async def test_neither_tokens_nor_secrets_are_in_what_is_kept_or_shown(
    server: FakeIntrospection, checks: IntrospectionVerifier
) -> None:
    await checks.verify(server.issue("a-token-that-is-long"))
    kept = [*checks._cache._accepted]  # noqa: SLF001 - what a memory dump would have
    assert b"a-token-that-is-long" not in b"".join(kept)
    form = Form(URL, {"token": "a-token"}, "Basic secret")
    for shown in (repr(checks), repr(form)):
        assert "a-token" not in shown
        assert "secret" not in shown


# -- One request -----------------------------------------------------------------------------------


async def test_coroutines_and_threads_with_one_token_wait_for_one_request(
    server: FakeIntrospection, checks: IntrospectionVerifier
) -> None:
    token = server.issue()
    server.open.clear()
    threads = [asyncio.to_thread(checks.verify_sync, token) for _ in range(4)]
    waiting = asyncio.gather(*threads, *(checks.verify(token) for _ in range(200)))
    while not server.asked:
        await asyncio.sleep(0.001)
    server.open.set()
    assert {one.user_id for one in await waiting} == {"ada"}
    assert len(server.asked) == 1


def test_two_hundred_threads_make_one_request_for_each_token(
    server: FakeIntrospection, checks: IntrospectionVerifier
) -> None:
    tokens = [server.issue(f"token{number}", sub=f"user{number}") for number in range(50)]
    with ThreadPoolExecutor(200) as pool:
        found = list(pool.map(checks.verify_sync, tokens * 4))
    assert [one.user_id for one in found] == [f"user{number}" for number in range(50)] * 4
    assert sorted(one.fields["token"][0] for one in server.asked) == sorted(tokens)


async def test_a_caller_that_is_cancelled_does_not_cancel_the_request_of_others(
    server: FakeIntrospection, checks: IntrospectionVerifier
) -> None:
    server.issue()
    server.open.clear()
    first, second = (asyncio.create_task(checks.verify("opaque")) for _ in range(2))
    while not server.asked:
        await asyncio.sleep(0.001)
    first.cancel()
    server.open.set()
    assert (await second).user_id == "ada"
    with pytest.raises(asyncio.CancelledError):
        await first
    assert len(server.asked) == 1


async def test_requests_at_once_are_few_and_the_others_wait_for_their_turn(
    server: FakeIntrospection, checks: IntrospectionVerifier
) -> None:
    tokens = [server.issue(f"token{number}") for number in range(100)]
    server.open.clear()
    waiting = asyncio.gather(*(checks.verify(token) for token in tokens))
    while len(server.asked) < introspection.MAXIMUM_REQUESTS:
        await asyncio.sleep(0.001)
    server.open.set()
    assert len(await waiting) == 100
    assert len(server.asked) == 100
    assert server.most_at_once == introspection.MAXIMUM_REQUESTS


async def test_more_than_can_wait_is_an_outage(
    server: FakeIntrospection,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(introspection, "MAXIMUM_REQUESTS", 1)
    monkeypatch.setattr(workers, "MAXIMUM_WAITING", 1)
    checks = verifier_of(server, clock)
    server.open.clear()
    first = asyncio.create_task(checks.verify(server.issue("one")))
    while not server.asked:
        await asyncio.sleep(0.001)
    second = asyncio.create_task(checks.verify(server.issue("two")))
    await asyncio.sleep(0)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await checks.verify(server.issue("three"))
    server.open.set()
    assert [(await first).user_id, (await second).user_id] == ["ada", "ada"]
    assert caplog.text.count("too many requests") == 1
    assert (await checks.verify("three")).user_id


def test_a_system_without_threads_is_an_outage(
    server: FakeIntrospection, checks: IntrospectionVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Unavailable):
            checks.verify_sync(server.issue())
    assert checks.verify_sync("opaque").user_id == "ada"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_verifier_works_in_the_processes_that_are_forked_while_it_asks(
    server: FakeIntrospection,
) -> None:
    program = """
import os, sys, threading, warnings
from unexpired_server import IntrospectionVerifier
warnings.simplefilter("ignore")
url, client_id, client_secret = sys.argv[1:]
checks = IntrospectionVerifier(
    url, client_id=client_id, client_secret=client_secret, audience=None, leeway=10**9
)
threading.Thread(target=checks.verify_sync, args=("opaque",), daemon=True).start()
print("started", flush=True)
sys.stdin.readline()
with checks._introspection._lock, checks._introspection._workers._lock:
    child = os.fork()
if not child:
    print(checks.verify_sync("opaque").user_id, flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""
    server.issue(exp=None, iat=0)
    server.open.clear()
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, server.endpoint, CLIENT_ID, CLIENT_SECRET],
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "started\n"
        until(lambda: len(server.asked) == 1)
        process.stdin.write("fork\n")
        process.stdin.flush()
        until(lambda: len(server.asked) == 2)  # The child's own request.
        server.open.set()
        assert process.stdout.readline() == "ada\n"
        assert process.wait(30) == 0


# -- An endpoint that lies or fails ----------------------------------------------------------------

ACTIVE = b'{"active": true, "sub": "ada", "aud": "https://orders.example"'

BROKEN: list[tuple[Answer, str]] = [
    ((200, {}, b"<html>Sign in</html>"), "not a JSON object"),
    ((200, {}, b""), "not a JSON object"),
    ((200, {}, b"[true]"), "not a JSON object"),
    ((200, {}, b"\xff"), "not a JSON object"),
    ((200, {}, b'{"active": false, "active": true}'), "not a JSON object"),
    ((200, {}, ACTIVE + b', "exp": NaN}'), "not a JSON object"),
    ((200, {}, b"{}"), 'no "active" that is true or false'),
    ((200, {}, ACTIVE.replace(b"true", b'"true"') + b"}"), 'no "active" that is true or false'),
    ((200, {}, ACTIVE.replace(b"true", b"1") + b"}"), 'no "active" that is true or false'),
    ((200, {}, b'{"active": null}'), 'no "active" that is true or false'),
    ((200, {}, ACTIVE + b', "x": "' + b"x" * documents.MAXIMUM_BYTES + b'"}'), "too large"),
    ((200, {"Content-Length": "9999", "Connection": "close"}, ACTIVE + b"}"), "ended early"),
    ((201, {}, ACTIVE + b"}"), "status 201"),
    ((302, {"Location": "{url}/elsewhere"}, b""), "status 302"),
    ((307, {"Location": "{url}/elsewhere"}, b""), "status 307"),
    ((400, {}, b'{"error": "invalid_request"}'), "status 400"),
    ((400, {}, b"oops"), "status 400"),
    ((403, {}, b""), "status 403"),
    ((404, {}, b""), "status 404"),
    ((500, {}, ACTIVE + b"}"), "status 500"),
]


@pytest.mark.parametrize(("broken", "problem"), BROKEN)
async def test_a_response_that_is_wrong_is_an_outage_and_one_sentence_in_the_log(
    server: FakeIntrospection,
    checks: IntrospectionVerifier,
    caplog: pytest.LogCaptureFixture,
    broken: Answer,
    problem: str,
) -> None:
    status, headers, body = broken
    moved = {name: value.replace("{url}", server.url) for name, value in headers.items()}
    server.answer = status, moved, body
    for number in range(3):
        with pytest.raises(Unavailable) as refused:
            await checks.verify(f"secret-token{number}")
        assert failure_response(refused.value).headers["Retry-After"] == "1"
        with pytest.raises(Unavailable):
            checks.verify_sync(f"secret-token{number}")
    assert {one.path for one in server.asked} == {ENDPOINT}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert problem in record.getMessage()
    assert "secret-token" not in caplog.text
    server.answer = None
    assert (await checks.verify(server.issue("secret-token0"))).user_id  # Nothing of it was kept.


async def test_a_refusal_of_our_own_credentials_is_logged_once_and_signs_nobody_out(
    server: FakeIntrospection, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    checks = verifier_of(server, clock, client_secret="outdated")
    for number in range(5):
        with pytest.raises(Unavailable):
            await checks.verify(server.issue(f"token{number}"))
        clock.advance(introspection.PAUSE)
    assert len(server.asked) == 5
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "it does not accept our client_id and client_secret" in record.getMessage()
    assert "outdated" not in caplog.text
    assert "Basic" not in caplog.text


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ((503, {"Retry-After": "7"}, b""), 7),
        ((429, {"Retry-After": "7"}, b""), 7),
        ((429, {"Retry-After": "99999"}, b""), 60),
        ((503, {"Retry-After": "soon"}, b""), 1),
        ((503, {}, b""), 1),
        ((401, {}, b""), 1),
    ],
)
async def test_a_pause_that_the_endpoint_needs_is_kept_for_all_and_known_tokens_stay_good(
    server: FakeIntrospection,
    checks: IntrospectionVerifier,
    clock: FakeClock,
    answer: Answer,
    seconds: int,
) -> None:
    known = server.issue("known")
    await checks.verify(known)
    server.answer = answer
    for number in range(3):
        with pytest.raises(Unavailable) as refused:
            await checks.verify(f"token{number}")
        assert refused.value.retry_after == seconds
    assert (await checks.verify(known)).user_id
    assert len(server.asked) == 2
    server.answer = None
    clock.advance(seconds)
    with pytest.raises(TokenExpired):
        checks.verify_sync("token0")


async def test_an_endpoint_that_is_down_is_an_outage(
    server: FakeIntrospection, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    checks = verifier_of(server, clock, url="http://127.0.0.1:1/introspect?a=hidden")
    for _ in range(3):
        with pytest.raises(Unavailable):
            await checks.verify("opaque")
        with pytest.raises(Unavailable):
            checks.verify_sync("other")
        clock.advance(introspection.PAUSE)
    (record,) = caplog.records
    assert "http://127.0.0.1:1/introspect: there is no connection" in record.getMessage()
    assert "hidden" not in caplog.text


async def test_an_endpoint_that_hangs_holds_up_only_the_first_callers(
    server: FakeIntrospection, checks: IntrospectionVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introspection, "WAIT", 0.2)
    server.issue()
    server.open.clear()
    with pytest.raises(Unavailable):
        await checks.verify("opaque")
    started = time.perf_counter()
    for _ in range(50):
        with pytest.raises(Unavailable):
            checks.verify_sync("opaque")
    assert time.perf_counter() - started < 0.2
    assert len(server.asked) == 1
    server.open.set()
    until(lambda: checks._cache.find(token_key("opaque")))  # noqa: SLF001 - no new request
    assert (await checks.verify("opaque")).user_id == "ada"
    assert len(server.asked) == 1


async def test_a_silent_endpoint_is_given_up_and_left_in_peace(
    server: FakeIntrospection,
    checks: IntrospectionVerifier,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("unexpired_server.tokens.forms.SOCKET_TIMEOUT", 0.05)
    server.open.clear()
    for number in range(3):
        with pytest.raises(Unavailable):
            await checks.verify(f"token{number}")
    assert len(server.asked) == 1
    assert "TimeoutError" in caplog.text
    server.open.set()
    clock.advance(introspection.PAUSE)
    assert (await checks.verify(server.issue())).user_id


async def test_a_token_that_the_endpoint_has_no_kind_for_is_invalid(
    server: FakeIntrospection, checks: IntrospectionVerifier
) -> None:
    """A client that sends a JWT to a service of opaque tokens (RFC 7009, section 2.2.1)."""
    server.answer = 400, {}, b'{"error": "unsupported_token_type"}'
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            await checks.verify("a.b.c")
    assert len(server.asked) == 1


# -- An open WebSocket -----------------------------------------------------------------------------


def test_a_socket_whose_token_has_no_end_survives_an_outage_for_a_while(
    server: FakeIntrospection,
    checks: IntrospectionVerifier,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "CHECK_SECONDS", 0.01)
    auth = Auth(verifier=checks)
    auth._authenticator.now = clock  # noqa: SLF001 - otherwise it is that of the machine

    async def echo(websocket: WebSocket) -> None:
        async with auth.socket(websocket) as socket:
            async for text in socket.iter_text():
                await socket.send_text(text)

    def is_checked_again() -> None:
        asked = len(server.asked)
        clock.advance(60)
        until(lambda: len(server.asked) > asked)

    app = Starlette(routes=[WebSocketRoute("/echo", echo)])
    auth.install(app)
    token = server.issue(exp=None)
    with TestClient(app) as client, client.websocket_connect("/echo") as websocket:
        websocket.send_json({"token": token})
        assert websocket.receive_json() == {"type": "ready"}
        for _ in range(10):  # Longer than an outage may last.
            is_checked_again()
        server.answer = 500, {}, b""
        is_checked_again()
        websocket.send_text("still here")
        assert websocket.receive_text() == "still here"
        clock.advance(sockets.OUTAGE_SECONDS + 60)
        assert websocket.receive_json()["code"] == "TOKEN_EXPIRED"


# -- Any body --------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
LIKELY = st.sampled_from([AUDIENCE, "https://a", "ada", "Bearer", "DPoP", "orders:read", 1.8e9])
NAMES = ("active", "sub", "aud", "iss", "exp", "iat", "nbf", "scope", "sid", "cnf", "token_type")
BODIES = st.dictionaries(st.sampled_from(NAMES), LIKELY | VALUES).map(
    lambda members: json.dumps({"active": True} | members).encode()
)


@given(st.binary(max_size=200) | BODIES)
@example(b'{"active": true, "sub": "ada", "aud": "https://orders.example", "exp": 1e400}')
@example(b'{"active": true, "x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}")
@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
def test_any_body_is_an_answer_or_an_outage_and_lets_in_only_whom_it_names(body: bytes) -> None:
    rules = IntrospectedTokens("https://a", AUDIENCE)
    try:
        answer = rules.read(body)
    except WrongDocumentError:
        return
    members = json.loads(body)
    assert isinstance(members["active"], bool)
    try:
        claims = accepted(answer, 1.8e9, 60)
    except (TokenInvalid, TokenExpired, TokenError):
        return
    assert members["active"] is True
    assert claims.user_id == members["sub"]
    assert AUDIENCE in members["aud"]
    assert members.get("iss") in {None, "https://a"}
    assert members.get("exp") is None or members["exp"] > 1.8e9 - 60
    assert (claims.jkt is None) is ("cnf" not in members)


def test_an_inactive_token_and_one_of_nobody_are_different_answers() -> None:
    rules = IntrospectedTokens(None, None)
    assert rules.read(b'{"active": false, "sub": "ada", "token_type": "Bearer"}') == Inactive()
    assert rules.read(b'{"active": true, "token_type": "Bearer"}') == Unacceptable()
