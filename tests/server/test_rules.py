"""The rules of a session, without a server: against a model, in random orders."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unexpired_server.sessions.refresh_tokens import RefreshTokenClaims, RefreshTokens
from unexpired_server.sessions.rules import (
    LOST,
    NO_ATTEMPT,
    REMEMBERED_ATTEMPTS,
    Decision,
    Session,
    SessionPolicy,
    decide,
    ends_at,
    hash_attempt,
    refreshed,
    seconds_left,
)
from unexpired_server.tokens.keys import Key, ring_of

POLICY = SessionPolicy(idle_ttl=1000, absolute_ttl=5000, grace=30)
FRESH = Session("1" * 32, "2" * 32, counter=5, created_at=100, refreshed_at=200)
KEY, ANOTHER_KEY = "k" * 43, "o" * 43
OWN, OTHER = hash_attempt("own" * 10), hash_attempt("other" * 5)
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
        (6, 200, Decision.ROLL_FORWARD),
    ],
)
@pytest.mark.parametrize("attempts", [(), (NO_ATTEMPT,) * 4, (OTHER,) * 4])
def test_without_an_attempt_a_counter_is_decided_by_its_distance_and_the_time(
    attempts: tuple[str, ...], counter: int, now: float, expected: Decision
) -> None:
    session = dataclasses.replace(FRESH, attempts=attempts)
    assert decide(session, counter, NO_ATTEMPT, now, POLICY) is expected


@pytest.mark.parametrize(
    ("attempts", "counter", "now", "expected"),
    [
        ((OTHER,), 5, 200, Decision.ROTATE),
        ((OTHER,), 6, 200, Decision.ROLL_FORWARD),
        ((OWN,), 4, 1199, Decision.REPEAT),
        ((LOST,), 4, 1199, Decision.REPEAT),
        ((OWN,), 4, 1200, Decision.EXPIRED),
        ((OTHER,), 4, 209.9, Decision.REPEAT),
        ((OTHER,), 4, 210, Decision.REUSE),
        ((NO_ATTEMPT,), 4, 210, Decision.REUSE),
        ((), 4, 210, Decision.REUSE),
        ((OWN, OTHER), 3, 1199, Decision.SUPERSEDED),
        ((LOST, OTHER), 3, 1199, Decision.SUPERSEDED),
        ((OWN, OTHER, OTHER, OTHER), 1, 1199, Decision.SUPERSEDED),
        ((OTHER, OWN), 3, 200, Decision.REUSE),
        ((NO_ATTEMPT, OTHER), 3, 200, Decision.REUSE),
        ((OTHER,), 3, 200, Decision.REUSE),
        ((OWN, OTHER, OTHER, OTHER), 0, 200, Decision.REUSE),
    ],
)
def test_an_attempt_is_given_again_what_it_was_given_and_no_other_is(
    attempts: tuple[str, ...], counter: int, now: float, expected: Decision
) -> None:
    session = dataclasses.replace(FRESH, attempts=attempts)
    assert decide(session, counter, OWN, now, POLICY) is expected


def test_without_an_attempt_a_lost_step_is_repeated_and_never_superseded() -> None:
    session = dataclasses.replace(FRESH, attempts=(LOST, LOST))
    assert decide(session, 4, NO_ATTEMPT, 1199, POLICY) is Decision.REPEAT
    assert decide(session, 3, NO_ATTEMPT, 200, POLICY) is Decision.REUSE


def test_a_grace_shorter_than_the_tabs_seconds_holds_for_them_too() -> None:
    strict = dataclasses.replace(POLICY, grace=0)
    session = dataclasses.replace(FRESH, attempts=(OTHER,))
    assert decide(session, 4, OWN, 200, strict) is Decision.REUSE
    assert decide(session, 4, OTHER, 1199, strict) is Decision.REPEAT


def test_none_given_is_never_the_steps_own() -> None:
    session = dataclasses.replace(FRESH, attempts=(NO_ATTEMPT, NO_ATTEMPT))
    assert decide(session, 4, NO_ATTEMPT, 230, POLICY) is Decision.REUSE
    assert decide(session, 3, NO_ATTEMPT, 200, POLICY) is Decision.REUSE


def test_a_refresh_remembers_its_attempt_and_the_three_before() -> None:
    session = FRESH
    for attempt in ("a", "b", "c", "d", "e"):
        session = refreshed(session, session.counter, attempt, 300, POLICY)
    assert (session.counter, session.attempts) == (10, ("b", "c", "d", "e"))


@pytest.mark.parametrize(
    ("counter", "attempts"),
    [(6, ("x", LOST, "a")), (7, ("x", LOST, LOST, "a")), (5 + 10**9, (LOST, LOST, LOST, "a"))],
)
def test_what_the_database_lost_is_marked_as_lost(counter: int, attempts: tuple[str, ...]) -> None:
    session = dataclasses.replace(FRESH, attempts=("x",))
    rolled = refreshed(session, counter, "a", 300, POLICY)
    assert (rolled.counter, rolled.attempts, rolled.refreshed_at) == (counter + 1, attempts, 300)


def test_a_hash_is_never_taken_for_a_mark_and_fits_its_column() -> None:
    hashes = {hash_attempt(str(number)) for number in range(1000)}
    assert len(hashes) == 1000
    assert {len(hashed) for hashed in hashes} == {22}
    assert len(",".join([max(hashes)] * REMEMBERED_ATTEMPTS)) <= 128


@given(st.integers(0, 10), st.floats(0, 10_000))
def test_a_revoked_session_stays_revoked(counter: int, now: float) -> None:
    revoked = dataclasses.replace(FRESH, revoked_at=150)
    assert decide(revoked, counter, OWN, now, POLICY) is Decision.REVOKED


@given(
    counter=st.integers(0, 10),
    attempts=st.lists(st.sampled_from([OWN, OTHER, NO_ATTEMPT, LOST]), max_size=4),
    revoked_at=st.none() | st.just(150.0),
    now=st.floats(0, 10_000),
)
def test_who_does_not_prove_the_key_learns_nothing_and_who_does_is_as_unbound(
    counter: int, attempts: list[str], revoked_at: float | None, now: float
) -> None:
    unbound = dataclasses.replace(FRESH, attempts=tuple(attempts), revoked_at=revoked_at)
    bound = dataclasses.replace(unbound, jkt=KEY)
    asked = counter, OWN, now, POLICY
    assert decide(bound, *asked) is Decision.NO_PROOF
    assert decide(bound, *asked, jkt=ANOTHER_KEY) is Decision.OTHER_KEY
    expected = decide(unbound, *asked)
    assert decide(bound, *asked, jkt=KEY) is expected
    # Nobody's proof binds a session afterwards.
    assert decide(unbound, *asked, jkt=KEY) is expected
    trusting = dataclasses.replace(POLICY, asks_for_proof=False)
    assert decide(bound, *asked[:3], trusting) is expected
    assert decide(bound, *asked[:3], trusting, jkt=ANOTHER_KEY) is expected


def test_a_refresh_keeps_the_key() -> None:
    bound = dataclasses.replace(FRESH, jkt=KEY)
    assert refreshed(bound, 5, OWN, 300, POLICY).jkt == KEY


def test_without_rotation_the_current_token_is_kept() -> None:
    policy = dataclasses.replace(POLICY, rotation=False)
    assert decide(FRESH, 5, OWN, 300, policy) is Decision.KEEP
    kept = refreshed(FRESH, 5, OWN, 300, policy)
    assert (kept.counter, kept.refreshed_at, kept.attempts) == (5, 300, ())


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
        decision = decide(session, counter, NO_ATTEMPT, now, policy)
        lived = now - session.created_at
        if now - rotated >= 100 or lived >= 1000:
            assert decision is Decision.EXPIRED
            return
        if counter == session.counter:
            assert decision is Decision.ROTATE
            session = refreshed(session, counter, NO_ATTEMPT, now, policy)
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
