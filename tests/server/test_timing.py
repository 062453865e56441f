"""Timing: unknown users, verification during sign-ins, slow bodies."""

import asyncio
import statistics
import threading
import time
from typing import Any

import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import VerifyMismatchError
from starlette.requests import Request
from starlette.types import Receive

from tests.server.harness import TestServer
from unexpired_server.errors import BodyTimeout
from unexpired_server.http import bodies
from unexpired_server.http.routes.authentication import Refresh
from unexpired_server.sessions.passwords import Passwords


async def cpu_seconds(passwords: Passwords, password_hash: str | None) -> float:
    """Return the CPU time of one wrong password; other programs share the machine."""
    began = time.process_time()
    assert not await passwords.verify("wrong", password_hash)
    return time.process_time() - began


async def test_an_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    """Their medians differ by less than 5 %; a busy machine needs more samples to show it."""
    passwords = Passwords(PasswordHasher(time_cost=3, memory_cost=16 * 1024, parallelism=1))
    known_hash = passwords.hash("right")
    known: list[float] = []
    unknown: list[float] = []
    while len(known) < 15 or (differ(known, unknown) and len(known) < 200):
        known.append(await cpu_seconds(passwords, known_hash))
        unknown.append(await cpu_seconds(passwords, None))
    passwords.close()
    assert not differ(known, unknown)


def differ(known: list[float], unknown: list[float]) -> bool:
    """Return whether the medians differ by more than 5 %."""
    medians = statistics.median(known), statistics.median(unknown)
    return max(medians) / min(medians) >= 1.05


@pytest.mark.parametrize("kind", Type)
async def test_to_know_no_user_nothing_is_hashed_at_the_start(
    kind: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher = PasswordHasher(1, 8, 1, hash_len=17, salt_len=9, type=kind)
    like = extract_parameters(hasher.hash("right"))
    monkeypatch.setattr(PasswordHasher, "hash", None)
    passwords = Passwords(hasher)
    assert extract_parameters(passwords._dummy_hash) == like  # noqa: SLF001 - what takes as long
    with pytest.raises(VerifyMismatchError):
        hasher.verify(passwords._dummy_hash, "right")  # noqa: SLF001
    assert not await passwords.verify("right", None)
    passwords.close()


async def test_verification_continues_while_every_hashing_thread_is_busy(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = (await node.sign_in())["accessToken"]
    release = threading.Event()
    monkeypatch.setattr(Passwords, "_matches", lambda *_: release.wait(20))
    logins = [asyncio.ensure_future(node.login()) for _ in range(10)]
    for _ in range(50):
        assert (await node.me(access)).status_code == 200
    assert not any(login.done() for login in logins)
    release.set()
    assert {response.status_code for response in await asyncio.gather(*logins)} == {200}


async def test_a_slow_body_has_one_time_limit_for_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert bodies.MAXIMUM_SECONDS == 10
    monkeypatch.setattr(bodies, "MAXIMUM_SECONDS", 0.2)
    dripped = 0

    async def drip() -> dict[str, Any]:
        nonlocal dripped
        dripped += 1
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async with asyncio.timeout(5):
        with pytest.raises(BodyTimeout):
            await bodies.read_body(json_request(drip), Refresh)
    assert dripped > 3


def json_request(receive: Receive) -> Request:
    headers = [(b"content-type", b"application/json")]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)
