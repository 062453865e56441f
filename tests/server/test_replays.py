"""A proof is used once: on one node, when its memory is full, and on several with Redis."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.server.test_proof_checks import call, checker_of, proof_of_call
from tests.server.test_proofs import ORDER
from tests.support.clock import FakeClock
from tests.support.proof_maker import ProofMaker
from tests.support.redis_server import RedisServer
from unexpired_server.errors import InvalidProof, UseDPoPNonce
from unexpired_server.http.proofs import ProofChecker
from unexpired_server.ops import breaker
from unexpired_server.settings import Settings
from unexpired_server.tokens import base64url, proof_nonces, replays
from unexpired_server.tokens.keys import Key, ring_of
from unexpired_server.tokens.proof_nonces import ProofNonces, nonce_life
from unexpired_server.tokens.replays import UsedProofs, proof_key

LIFE = 360.0
RING = ring_of(Key("ab" * 8, b"k" * 32))


class Memory:
    """A small memory and the nonces that go with it."""

    def __init__(self, clock: FakeClock, capacity: int = 3) -> None:
        self.nonces = ProofNonces(RING, clock, LIFE)
        self.used = UsedProofs(clock, LIFE, self.nonces.renew, capacity)

    def time(self, nonce: str) -> float:
        time = self.nonces.issued_at(nonce)
        assert time is not None
        return time

    def use(self, jti: str, nonce: str) -> bool | None:
        """Whether it is the first use; None where the nonce is too old to say."""
        if not self.used.remembers(self.time(nonce)):
            return None
        return self.used.add(proof_key("key", jti), self.time(nonce))


def test_an_id_is_used_once_by_each_key(clock: FakeClock) -> None:
    memory = Memory(clock)
    nonce = memory.nonces.current()
    assert [memory.use("a", nonce), memory.use("a", nonce), memory.use("b", nonce)] == [
        True, False, True,
    ]  # fmt: skip
    assert proof_key("k", "a") != proof_key("l", "a")


def test_nothing_that_was_forgotten_can_be_used_again_and_new_proofs_always_can(
    clock: FakeClock,
) -> None:
    """Ten thousand proofs within one minute, in a memory for six, and each is tried again."""
    memory = Memory(clock)
    used: list[tuple[str, str]] = []
    refused_for_age = 0
    for i in range(10_000):
        clock.advance(0.005)
        proof = (str(i), memory.nonces.current())
        assert memory.use(*proof), i
        used.append(proof)
        for old in (proof, used[i // 2], used[max(0, i - 4)], used[max(0, i - 7)]):
            again = memory.use(*old)
            assert not again
            refused_for_age += again is None
        assert len(memory.used) <= 6
    assert refused_for_age > 0


def test_a_client_that_got_its_nonce_just_before_the_memory_was_full_asks_once_more(
    clock: FakeClock,
) -> None:
    memory = Memory(clock)
    nonce = memory.nonces.current()
    for jti in "abcdefg":
        assert memory.use(jti, memory.nonces.current())
    assert memory.use("late", nonce) is None
    assert memory.use("late", memory.nonces.current())


def test_a_nonce_of_a_node_whose_clock_is_ahead_is_refused_when_its_proofs_are_forgotten(
    clock: FakeClock,
) -> None:
    memory = Memory(clock)
    clock.advance(3000)
    ahead = memory.nonces.current()
    clock.advance(-3000)
    assert memory.use("a", ahead)
    assert not memory.use("a", ahead)
    for jti in "bcdefgh":
        assert memory.use(jti, memory.nonces.current())
    assert memory.use("a", ahead) is None


def test_after_a_nonces_life_the_memory_is_empty_again(clock: FakeClock) -> None:
    memory = Memory(clock, capacity=1000)
    for i in range(500):
        memory.use(str(i), memory.nonces.current())
    for _ in range(3):
        clock.advance(LIFE)
        assert memory.use(str(clock()), memory.nonces.current())
    assert len(memory.used) == 2


def test_the_memory_is_bounded_in_bytes_too() -> None:
    """500,000 proofs take 50 MB at most."""
    keys = {proof_key("key", str(i)) for i in range(replays.CAPACITY)}
    size = sys.getsizeof(keys) + sum(map(sys.getsizeof, keys))
    assert 2 * size < 50_000_000


def test_all_of_a_minute_get_the_same_nonce_and_a_new_one_in_the_next(clock: FakeClock) -> None:
    nonces = ProofNonces(RING, clock, LIFE)
    clock.advance(-(clock() % 60))
    first = nonces.current()
    clock.advance(59.9)
    assert nonces.current() is first
    clock.advance(0.2)
    assert nonces.current() != first
    assert nonces.is_fresh(first)
    clock.advance(LIFE - 60.2)
    assert nonces.is_fresh(first)
    clock.advance(0.2)
    assert not nonces.is_fresh(first)


def test_nodes_with_the_same_keys_share_nonces_and_others_do_not(clock: FakeClock) -> None:
    here, there = ProofNonces(RING, clock, LIFE), ProofNonces(RING, clock, LIFE)
    other = ProofNonces(ring_of(Key("cd" * 8, b"o" * 32)), clock, LIFE)
    assert there.is_fresh(here.current())
    assert other.issued_at(here.current()) is None
    assert not other.is_fresh(here.current())


def test_a_new_signing_key_signs_new_nonces_and_the_old_ones_are_read(clock: FakeClock) -> None:
    old, new = Key("ab" * 8, b"k" * 32), Key("cd" * 8, b"n" * 32)
    ring = ring_of(old)
    nonces = ProofNonces(ring, clock, LIFE)
    before = nonces.current()
    ring.replace_with(ring_of(new, old))
    assert nonces.current() != before
    assert nonces.is_fresh(before)


@pytest.mark.parametrize(
    ("access_ttl", "leeway", "life"), [(20, 0, 360), (900, 60, 1080), (86_400, 60, 3660)]
)
def test_a_nonce_lives_until_the_next_refresh_within_bounds(
    access_ttl: int, leeway: float, life: float
) -> None:
    assert nonce_life(Settings(access_ttl=access_ttl, leeway=leeway)) == life


async def test_the_other_half_of_a_signature_is_no_second_proof(
    clock: FakeClock, maker: ProofMaker
) -> None:
    """Anyone can make ``(r, n - s)`` of a signature that they saw; its ``jti`` is the same."""
    checker = checker_of(clock, RING)
    proof = proof_of_call(maker, checker.nonce())
    message, _, signature = proof.rpartition(".")
    raw = base64url.decode(signature)
    s = ORDER - int.from_bytes(raw[32:], "big")
    twin = f"{message}.{base64url.encode(raw[:32] + s.to_bytes(32, 'big'))}"
    await call(checker, maker, twin)
    with pytest.raises(InvalidProof):
        await call(checker, maker, proof)


async def test_a_full_memory_costs_a_call_one_round_trip_and_no_replay_passes(
    clock: FakeClock, maker: ProofMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "CAPACITY", 2)
    checker = checker_of(clock, RING)
    first, early = (proof_of_call(maker, checker.nonce()) for _ in range(2))
    await call(checker, maker, first)
    for _ in range(4):
        await call(checker, maker, proof_of_call(maker, checker.nonce()))
    with pytest.raises(UseDPoPNonce):
        await call(checker, maker, first)
    with pytest.raises(UseDPoPNonce) as caught:
        await call(checker, maker, early)
    await call(checker, maker, proof_of_call(maker, caught.value.nonce))


async def available(checker: ProofChecker) -> None:
    while checker.is_degraded:
        await asyncio.sleep(0.01)


# -- Several nodes ---------------------------------------------------------------------------------


def node(clock: FakeClock, url: str | None) -> ProofChecker:
    return checker_of(clock, RING, dpop="all", rate_limit_url=url)


async def test_nodes_without_redis_remember_each_their_own(
    clock: FakeClock, maker: ProofMaker
) -> None:
    """Documented: without Redis a proof can be used once on each node."""
    here, there = node(clock, None), node(clock, None)
    proof = proof_of_call(maker, here.nonce())
    await call(here, maker, proof)
    await call(there, maker, proof)


async def test_nodes_with_a_redis_accept_a_proof_once(
    clock: FakeClock, maker: ProofMaker, redis: RedisServer
) -> None:
    here, there = node(clock, redis.url), node(clock, redis.url)
    for first, second in ((here, there), (there, here)):
        proof = proof_of_call(maker, here.nonce())
        await call(first, maker, proof)
        for checker in (second, first):
            with pytest.raises(InvalidProof):
                await call(checker, maker, proof)
    await call(there, maker, proof_of_call(maker, here.nonce()))
    assert b"unexpired" in redis.command("RANDOMKEY")
    await here.close()
    await there.close()


async def test_without_its_redis_a_node_goes_on_with_its_own_memory(
    clock: FakeClock,
    maker: ProofMaker,
    redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(breaker, "PROBE_INTERVAL", 0.01)
    checker = node(clock, redis.url)
    await call(checker, maker, proof_of_call(maker, checker.nonce()))
    redis.stop()
    proof = proof_of_call(maker, checker.nonce())
    await call(checker, maker, proof)
    assert checker.is_degraded
    with pytest.raises(InvalidProof):
        await call(checker, maker, proof)
    assert "the proofs' Redis is unavailable" in caplog.text
    redis.start()
    await available(checker)
    await call(checker, maker, proof_of_call(maker, checker.nonce()))
    await checker.close()


async def test_calls_that_wait_for_a_redis_that_hangs_are_all_answered_and_logged_once(
    clock: FakeClock, maker: ProofMaker, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    checker = node(clock, redis.url)
    await call(checker, maker, proof_of_call(maker, checker.nonce()))
    redis.hang()
    proofs = [proof_of_call(maker, checker.nonce()) for _ in range(5)]
    await asyncio.gather(*(call(checker, maker, proof) for proof in proofs))
    assert caplog.text.count("the proofs' Redis is unavailable") == 1
    redis.resume()
    await checker.close()


def test_the_nonces_of_a_key_that_is_gone_are_not_ours_any_longer(clock: FakeClock) -> None:
    """Those that were read before are cached."""
    ring = ring_of(Key("ab" * 8, b"k" * 32))
    nonces = ProofNonces(ring, clock, LIFE)
    nonce = nonces.current()
    assert nonces.is_fresh(nonce)
    assert nonces.is_fresh(nonce)
    ring.replace_with(ring_of(Key("cd" * 8, b"l" * 32)))
    assert not nonces.is_fresh(nonce)
    assert nonces.is_fresh(nonces.current())


def test_more_nonces_are_read_than_are_cached(clock: FakeClock) -> None:
    nonces = ProofNonces(RING, clock, LIFE)
    for _ in range(proof_nonces.KNOWN + 2):
        assert nonces.issued_at(nonces.current()) == clock.wall // 60 * 60
        clock.advance(60)
