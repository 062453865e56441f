"""The rules of a session, without a server: against a model, in random orders."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unexpired_server.sessions.refresh_tokens import RefreshTokenClaims, RefreshTokens
from unexpired_server.sessions.rules import (
    Decision,
    Session,
    SessionPolicy,
    decide,
    ends_at,
    refreshed,
    seconds_left,
)
from unexpired_server.tokens.keys import Key, ring_of

POLICY = SessionPolicy(idle_ttl=1000, absolute_ttl=5000, grace=30)
FRESH = Session("1" * 32, "2" * 32, counter=5, created_at=100, refreshed_at=200)
RING = ring_of(Key("ab" * 8, bytes(range(32))), Key("cd" * 8, bytes(range(1, 33))))
TOKENS = RefreshTokens(RING)


@pytest.mark.parametrize(
    ("counter", "now", "expected"),
    [
        (5, 200, Decision.ROTATE),
        (5, 1199.9, Decision.ROTATE),
        (5, 1200, Decision.EXPIRED),
        (4, 229.9, Decision.REPEAT),
        (4, 230, Decision.REUSE),
        (4, 1200, Decision.EXPIRED),
        (3, 200, Decision.REUSE),
        (0, 200, Decision.REUSE),
        (6, 200, Decision.UNKNOWN),
    ],
)
def test_a_counter_is_decided_by_its_distance_and_the_time(
    counter: int, now: float, expected: Decision
) -> None:
    assert decide(FRESH, counter, now, POLICY) is expected


@given(st.integers(0, 10), st.floats(0, 10_000))
def test_a_revoked_session_stays_revoked(counter: int, now: float) -> None:
    revoked = dataclasses.replace(FRESH, revoked_at=150)
    assert decide(revoked, counter, now, POLICY) is Decision.REVOKED


def test_without_rotation_the_current_token_is_kept() -> None:
    policy = dataclasses.replace(POLICY, rotation=False)
    assert decide(FRESH, 5, 300, policy) is Decision.KEEP
    kept = refreshed(FRESH, 300, policy)
    assert (kept.counter, kept.refreshed_at) == (5, 300)


def test_a_session_ends_at_the_earlier_of_idle_and_absolute_lifetime() -> None:
    assert ends_at(FRESH, POLICY) == 1200
    old = dataclasses.replace(FRESH, refreshed_at=4900)
    assert ends_at(old, POLICY) == 5100
    assert seconds_left(old, 5000, POLICY) == 100


@given(
    st.lists(
        st.tuples(st.floats(0, 60), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=60
    )
)
def test_in_any_order_one_line_of_tokens_is_valid_and_reuse_ends_it(
    steps: list[tuple[float, int, int]],
) -> None:
    """Holders present current or older tokens at random times; a model says what must happen."""
    session = Session("1" * 32, "2" * 32, 0, created_at=0, refreshed_at=0)
    policy = SessionPolicy(idle_ttl=100, absolute_ttl=1000, grace=30)
    now, rotated = 0.0, 0.0
    for wait, holder, age in steps:
        now += wait
        counter = max(0, session.counter - (age if holder else 0))
        decision = decide(session, counter, now, policy)
        lived = now - session.created_at
        if now - rotated >= 100 or lived >= 1000:
            assert decision is Decision.EXPIRED
            return
        if counter == session.counter:
            assert decision is Decision.ROTATE
            session = refreshed(session, now, policy)
            rotated = now
            assert session.counter == counter + 1
        elif counter == session.counter - 1 and now < rotated + 30:
            assert decision is Decision.REPEAT
        else:
            assert decision is Decision.REUSE
            return


@given(st.integers(0, 2**64 - 1), st.binary(min_size=16, max_size=16))
def test_a_refresh_token_reads_back_as_it_was_written(counter: int, raw: bytes) -> None:
    session = dataclasses.replace(FRESH, id=raw.hex(), counter=counter)
    token = TOKENS.write(session)
    assert TOKENS.read(token) == RefreshTokenClaims(session.id, counter)
    assert TOKENS.write(session) == token


@given(st.integers(0, len(TOKENS.write(FRESH)) - 1), st.integers(0, 6))
def test_any_flipped_bit_makes_a_refresh_token_unreadable(position: int, bit: int) -> None:
    token = TOKENS.write(FRESH)
    flipped = chr(ord(token[position]) ^ (1 << bit))
    assert TOKENS.read(token[:position] + flipped + token[position + 1 :]) is None


@given(st.text() | st.text(alphabet="rt1.AB-_=").map("rt1.".__add__))
def test_random_text_is_no_refresh_token(text: str) -> None:
    assert TOKENS.read(text) is None


def test_every_key_of_the_ring_reads_and_the_first_writes() -> None:
    older = RefreshTokens(ring_of(RING.keys["cd" * 8]))
    assert TOKENS.read(older.write(FRESH)) == RefreshTokenClaims(FRESH.id, 5)
    assert older.read(TOKENS.write(FRESH)) is None


def test_the_macs_key_is_not_the_signing_key() -> None:
    """With one key for both, one kind of token could be turned into the other."""
    key = RING.active
    assert key.derive("refresh token v1") not in (key.secret, key.derive("another purpose"))
