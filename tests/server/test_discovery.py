"""Verification with an issuer's name: where its keys are, and what a broken issuer may do."""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.fake_issuer import AUDIENCE, OAUTH, OIDC, Answer, FakeIssuer
from tests.support.server_process import clean_environment
from unexpired_server.errors import TokenInvalid, Unavailable
from unexpired_server.tokens import documents, flights, remote_value
from unexpired_server.tokens.documents import Document
from unexpired_server.tokens.jwks_verifier import JWKSVerifier

ISSUER = "https://issuer.example"


@pytest.fixture
def issuer(clock: FakeClock) -> Iterator[FakeIssuer]:
    with FakeIssuer(now=clock) as one:
        yield one


def verifier_of(issuer: FakeIssuer, clock: FakeClock, **options: Any) -> JWKSVerifier:
    return JWKSVerifier(issuer=issuer.url, audience=AUDIENCE, now=clock, **options)


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    ends_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.001)


# -- Where the keys are ----------------------------------------------------------------------------


@pytest.mark.parametrize("discovery", [OIDC, OAUTH])
@pytest.mark.parametrize("path", ["", "/", "/tenant/v2.0", "/tenant/"])
async def test_the_keys_are_found_by_the_name_of_the_issuer(
    clock: FakeClock, discovery: str, path: str
) -> None:
    with FakeIssuer(path, discovery, clock) as issuer:
        if discovery == OAUTH:  # RFC 8414, section 3.1: between the host and the path.
            issuer.discovery = OAUTH + path.rstrip("/")
        checks = verifier_of(issuer, clock)
        assert (await checks.verify(issuer.token())).user_id == "ada"
        assert verifier_of(issuer, clock).verify_sync(issuer.token()).user_id == "ada"
    assert issuer.requests[issuer.discovery] == 2


async def test_a_page_for_every_path_does_not_hide_the_second_address(clock: FakeClock) -> None:
    with FakeIssuer(discovery=OAUTH, now=clock) as issuer:
        issuer.answers[OIDC] = (200, {"Content-Type": "text/html"}, b"<!doctype html>Sign in")
        assert (await verifier_of(issuer, clock).verify(issuer.token())).user_id


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "issuer= is needed"),
        ({"issuer": ISSUER}, "audience= is needed"),
        ({"issuer": ISSUER, "audience": ""}, "audience= is needed"),
        ({"issuer": "", "audience": "a"}, "issuer= is needed"),
        ({"issuer": "issuer.example", "audience": "a"}, "https URL"),
        ({"issuer": "http://issuer.example", "audience": "a"}, "https URL"),
        ({"issuer": "ftp://issuer.example", "audience": "a"}, "https URL"),
        ({"issuer": "https://", "audience": "a"}, "https URL"),
        ({"issuer": f"{ISSUER}?a=b", "audience": "a"}, "no query"),
        ({"issuer": f"{ISSUER}#a", "audience": "a"}, "no query"),
        ({"issuer": "https://me:pw@issuer.example", "audience": "a"}, "no query, fragment or user"),
        ({"issuer": ISSUER, "audience": "a", "types": "at+jwt"}, "types= must be a list"),
        ({"issuer": ISSUER, "audience": "a", "types": ()}, "types= must be a list"),
        ({"address": f"{ISSUER}/keys", "types": ("at+jwt",)}, "types= is for"),
        ({"address": f"{ISSUER}/keys", "foreign": True}, "issuer= is needed"),
        ({"address": f"{ISSUER}/keys", "foreign": True, "issuer": "x"}, "audience= is needed"),
    ],
)
def test_a_wrong_argument_is_named_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JWKSVerifier(**arguments)


async def test_the_keys_of_an_issuer_without_discovery_are_at_a_given_address(
    issuer: FakeIssuer, clock: FakeClock
) -> None:
    checks = JWKSVerifier(
        f"{issuer.url}/keys", issuer=issuer.url, audience=AUDIENCE, foreign=True, now=clock
    )
    assert (await checks.verify(issuer.token())).scopes == {"orders:read"}
    assert set(issuer.requests) == {"/keys"}
    own = JWKSVerifier(f"{issuer.url}/keys", issuer=issuer.url, audience=AUDIENCE, now=clock)
    with pytest.raises(TokenInvalid):  # With an address tokens are ours, unless one says otherwise.
        await own.verify(issuer.token())


# -- An issuer that lies or fails ------------------------------------------------------------------


def page(**metadata: Any) -> Answer:
    return 200, {}, json.dumps(metadata).encode()


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"issuer": "https://evil.example"}, "is of the issuer 'https://evil.example', not of"),
        ({"issuer": None}, "is of the issuer None"),
        ({"issuer": ["{url}"]}, "is of the issuer \\['http"),
        ({"issuer": "{url}/"}, "give issuer='http://127.0.0.1:\\d+/', exactly as it names itself"),
        ({"issuer": "x" * 5000}, "is of the issuer 'xxx"),
        ({"jwks_uri": None}, "no https URL as its jwks_uri"),
        ({"jwks_uri": ["{url}/keys"]}, "no https URL as its jwks_uri"),
        ({"jwks_uri": "http://issuer.example/keys"}, "no https URL as its jwks_uri"),
        ({"jwks_uri": "file:///etc/passwd"}, "no https URL as its jwks_uri"),
        ({"jwks_uri": "/keys"}, "no https URL as its jwks_uri"),
        ({"jwks_uri": "https://"}, "no https URL as its jwks_uri"),
        ({"jwks_uri": "https://[::1"}, "no https URL as its jwks_uri"),
        ({"jwks_uri": "https://me:secret@issuer.example/keys"}, "no https URL as its jwks_uri"),
        ({"jwks_uri": "https://issuer.example/" + "k" * 3000}, "no https URL as its jwks_uri"),
    ],
)
async def test_a_document_that_is_wrong_is_an_outage_and_one_sentence_in_the_log(
    issuer: FakeIssuer,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    metadata: dict[str, Any],
    sentence: str,
) -> None:
    text = json.dumps(issuer.metadata | metadata).replace("{url}", issuer.url)
    issuer.answers[OIDC] = (200, {}, text.encode())
    checks, token = verifier_of(issuer, clock), issuer.token()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await checks.verify(token)
        clock.advance(remote_value.FIRST_PAUSE)
    assert issuer.requests["/keys"] == 0
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert len(record.getMessage()) < 500
    assert "\n" not in record.getMessage()
    assert token not in caplog.text
    assert re.search(sentence, record.getMessage())


async def test_an_https_issuer_cannot_point_to_this_machine(clock: FakeClock) -> None:
    fetched = []

    async def fetch(address: str) -> bytes:
        fetched.append(address)
        return json.dumps({"issuer": ISSUER, "jwks_uri": "http://127.0.0.1/admin"}).encode()

    checks = JWKSVerifier(issuer=ISSUER, audience="a", now=clock, fetch=fetch)
    with pytest.raises(Unavailable):
        await checks.verify("a.b.c")
    assert fetched == [f"{ISSUER}{OIDC}", f"{ISSUER}{OAUTH}"]


@pytest.mark.parametrize("path", [OIDC, "/keys"])
async def test_the_log_names_the_address_that_has_no_document(
    issuer: FakeIssuer, clock: FakeClock, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """So that its reader can open it, and sees which of the two addresses is wrong."""
    issuer.answers[path] = (404, {}, b"")
    with pytest.raises(Unavailable):
        await verifier_of(issuer, clock).verify(issuer.token())
    assert f"({issuer.url}{path}: the response has status 404)" in caplog.text


BROKEN: list[Answer] = [
    (302, {"Location": "/elsewhere"}, b""),
    (200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
    (200, {}, b'{"issuer": "' + b"x" * documents.MAXIMUM_BYTES + b'"}'),
    (200, {}, b"[]"),
    (200, {}, b"\xff"),
    (200, {}, b'{"issuer": 1, "issuer": 2}'),
    (200, {"Content-Length": "9999", "Connection": "close"}, b'{"issuer": '),
    (404, {}, b"{}"),
    (500, {}, b""),
    (503, {"Retry-After": "30"}, b""),
]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("path", [OIDC, "/keys"])
async def test_known_keys_verify_whatever_the_issuer_answers_later(
    issuer: FakeIssuer, clock: FakeClock, broken: Answer, path: str
) -> None:
    issuer.answers["/elsewhere"] = issuer.answer(path)
    checks, token = verifier_of(issuer, clock), issuer.token(exp=int(clock()) + 80_000)
    issuer.answers[path] = broken
    with pytest.raises(Unavailable):
        await checks.verify(token)
    clock.advance(60)
    del issuer.answers[path]
    assert (await checks.verify(token)).user_id
    issuer.answers[path] = broken
    clock.advance(4000)
    assert (await checks.verify(token)).user_id
    good = issuer.token(sub="grace")
    assert (await checks.verify(good)).user_id == "grace"
    unknown = issuer.token({"kid": "new"})
    if path == "/keys":
        # INVALID_TOKEN would end the session of a person whose key we could not fetch.
        with pytest.raises(Unavailable):
            await checks.verify(unknown)
    else:  # The keys themselves can be fetched, at the address that was known.
        with pytest.raises(TokenInvalid):
            await checks.verify(unknown)
    assert issuer.requests["/elsewhere"] == 0


async def test_an_issuer_that_comes_and_goes_ends_nothing(
    issuer: FakeIssuer, clock: FakeClock
) -> None:
    checks = verifier_of(issuer, clock)
    await checks.verify(issuer.token())
    for step in range(20):
        clock.advance(311)
        path = (OIDC, "/keys")[step // 2 % 2]
        issuer.answers = {path: BROKEN[step % len(BROKEN)]} if step % 2 else {}
        assert (await checks.verify(issuer.token())).user_id == "ada"


async def test_keys_that_the_issuer_replaces_or_moves_are_found_at_once(
    issuer: FakeIssuer, clock: FakeClock
) -> None:
    checks = verifier_of(issuer, clock)
    old = issuer.token()
    await checks.verify(old)
    clock.advance(remote_value.MINIMUM_PAUSE)
    issuer.rotate("two")
    assert (await checks.verify(issuer.token())).user_id
    with pytest.raises(TokenInvalid):
        await checks.verify(old)
    clock.advance(remote_value.MINIMUM_PAUSE)
    issuer.answers["/keys"] = issuer.answer("/keys")  # The old address still has the old keys.
    issuer.metadata["jwks_uri"] = f"{issuer.url}/moved"
    issuer.rotate("three")
    assert checks.verify_sync(issuer.token()).user_id
    assert issuer.requests["/moved"] == 1


# -- One fetch, bounded and never in the way -------------------------------------------------------


async def test_two_hundred_coroutines_with_nothing_known_make_one_fetch(
    issuer: FakeIssuer, clock: FakeClock
) -> None:
    checks, token = verifier_of(issuer, clock), issuer.token()
    found = await asyncio.gather(*(checks.verify(token) for _ in range(200)))
    assert {one.user_id for one in found} == {"ada"}
    assert issuer.requests == {OIDC: 1, "/keys": 1}


def test_two_hundred_threads_with_nothing_known_make_one_fetch(
    issuer: FakeIssuer, clock: FakeClock
) -> None:
    checks, token = verifier_of(issuer, clock), issuer.token()
    with ThreadPoolExecutor(200) as pool:
        found = list(pool.map(checks.verify_sync, [token] * 200))
    assert {one.user_id for one in found} == {"ada"}
    assert issuer.requests == {OIDC: 1, "/keys": 1}


async def test_coroutines_and_threads_share_one_fetch(issuer: FakeIssuer, clock: FakeClock) -> None:
    checks, token = verifier_of(issuer, clock), issuer.token()
    issuer.open.clear()
    threads = [asyncio.to_thread(checks.verify_sync, token) for _ in range(4)]
    waiting = asyncio.gather(*threads, *(checks.verify(token) for _ in range(20)))
    while not issuer.requests:
        await asyncio.sleep(0.001)
    issuer.open.set()
    assert {one.user_id for one in await waiting} == {"ada"}
    assert issuer.requests == {OIDC: 1, "/keys": 1}


async def test_known_keys_verify_within_five_milliseconds_while_the_issuer_hangs(
    issuer: FakeIssuer, clock: FakeClock
) -> None:
    checks = verifier_of(issuer, clock)
    tokens = [issuer.token(sub=f"user {number}", exp=int(clock()) + 900) for number in range(20)]
    await checks.verify(tokens[0])
    issuer.open.clear()
    clock.advance(documents.MAXIMUM_AGE + 1)
    took = []
    for token in tokens:
        started = time.perf_counter()
        await checks.verify(token)
        checks.verify_sync(token)
        took.append(time.perf_counter() - started)
    assert sorted(took)[len(took) // 2] < 0.005
    until(lambda: sum(issuer.requests.values()) == 3)  # In the background, and once.


def test_an_issuer_that_hangs_holds_up_only_the_first_callers(
    issuer: FakeIssuer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_value, "WAIT", 0.2)
    checks, token = verifier_of(issuer, clock), issuer.token()
    issuer.open.clear()
    with pytest.raises(Unavailable):
        checks.verify_sync(token)
    started = time.perf_counter()
    for _ in range(50):
        with pytest.raises(Unavailable):
            checks.verify_sync(token)
    assert time.perf_counter() - started < 0.2
    issuer.open.set()
    until(lambda: issuer.requests["/keys"])
    clock.advance(remote_value.FIRST_PAUSE)
    monkeypatch.setattr(remote_value, "WAIT", 30)
    assert checks.verify_sync(token).user_id


def test_fetches_that_no_timeout_ends_are_few(
    issuer: FakeIssuer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_value, "WAIT", 0)
    monkeypatch.setattr(flights, "LONGEST", 0)  # Each is given up at once, and goes on.
    issuer.open.clear()
    checks, token = verifier_of(issuer, clock), issuer.token()
    for _ in range(10):
        clock.advance(100)
        with pytest.raises(Unavailable):
            checks.verify_sync(token)
    until(lambda: issuer.requests[OIDC] == remote_value.MAXIMUM_FLIGHTS)
    monkeypatch.undo()
    issuer.open.set()
    until(lambda: issuer.requests["/keys"] == remote_value.MAXIMUM_FLIGHTS)
    clock.advance(100)
    until(lambda: checks._keys._keys is not None)  # noqa: SLF001 - no call may start another
    assert checks.verify_sync(issuer.token()).user_id


def test_a_system_without_threads_is_an_outage(
    issuer: FakeIssuer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    checks, token = verifier_of(issuer, clock), issuer.token()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(Unavailable):
            checks.verify_sync(token)
    clock.advance(remote_value.FIRST_PAUSE)
    assert checks.verify_sync(token).user_id


def test_a_fetch_of_ones_own_serves_threads_too(issuer: FakeIssuer, clock: FakeClock) -> None:
    async def fetch(address: str) -> Document:
        await asyncio.sleep(0)
        return Document(issuer.answer(address.removeprefix(issuer.url))[2])

    checks = verifier_of(issuer, clock, fetch=fetch)
    assert checks.verify_sync(issuer.token()).user_id == "ada"
    assert asyncio.run(checks.verify(issuer.token(sub="grace"))).user_id == "grace"
    assert not issuer.requests


async def test_a_thread_call_in_a_coroutine_works_and_never_waits_for_its_own_loop(
    issuer: FakeIssuer, clock: FakeClock
) -> None:
    opened = asyncio.Event()

    async def fetch(address: str) -> Document:
        if address.endswith(OIDC):
            await opened.wait()
        return Document(issuer.answer(address.removeprefix(issuer.url))[2])

    opened.set()
    assert verifier_of(issuer, clock, fetch=fetch).verify_sync(issuer.token()).user_id == "ada"
    opened.clear()
    checks = verifier_of(issuer, clock, fetch=fetch)
    waiting = asyncio.create_task(checks.verify(issuer.token()))
    await asyncio.sleep(0)
    started = time.perf_counter()
    with pytest.raises(Unavailable):
        checks.verify_sync(issuer.token())
    assert time.perf_counter() - started < 1
    opened.set()
    assert (await waiting).user_id == "ada"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_verifier_works_in_the_processes_that_are_forked_while_it_fetches(
    issuer: FakeIssuer,
) -> None:
    """As gunicorn does with ``--preload``: the parent's threads and locks are not there."""
    issuer._now = time.time  # noqa: SLF001 - the other process has the real clock
    program = """
import os, sys, threading, time, warnings
from unexpired_server import JWKSVerifier, Unavailable
from unexpired_server.tokens import remote_value
warnings.simplefilter("ignore")
issuer, audience, token = sys.argv[1:]
checks = JWKSVerifier(issuer=issuer, audience=audience)
threading.Thread(target=checks.verify_sync, args=(token,), daemon=True).start()
print("started", flush=True)
sys.stdin.readline()
with checks._keys._lock:  # As at the worst moment.
    child = os.fork()
if not child:
    print(checks.verify_sync(token).user_id, flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""
    issuer.open.clear()
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, issuer.url, AUDIENCE, issuer.token()],
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "started\n"
        until(lambda: issuer.requests[OIDC] == 1)
        process.stdin.write("fork\n")
        process.stdin.flush()
        until(lambda: issuer.requests[OIDC] == 2)  # The child's own fetch.
        issuer.open.set()
        assert process.stdout.readline() == "ada\n"
        assert process.wait(30) == 0
