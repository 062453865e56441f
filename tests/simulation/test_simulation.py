"""Simulated worlds: no violation in a short run, and each broken rule is detected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from random import Random
from typing import Any

import pytest

from tests.simulation.__main__ import world_of
from tests.simulation.fault_model import simulate
from tests.simulation.profile import months, office, storm
from unexpired import Dialect, Response, policy, session_manager, token_response
from unexpired.async_client import AsyncClient
from unexpired.session import Session
from unexpired.session_record import Generation, Record

Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_no_invariant_is_broken_in_any_world(first: int) -> None:
    for seed in range(first, first + 10):
        assert world_of(seed)[1].violations == [], seed


@pytest.mark.parametrize("kind", [storm, office, months])
def test_the_same_seed_gives_the_same_world(kind: Any) -> None:
    first, again = (simulate(7, kind(Random(7))) for _ in range(2))
    assert first.trace == again.trace
    assert first.counts == again.counts
    assert simulate(8, kind(Random(7))).trace != first.trace


def test_a_storm_has_faults_of_every_kind() -> None:
    counts = sum((simulate(seed, storm(Random(seed))).counts for seed in range(10)), Counter())
    for fault in (
        "requests lost",
        "responses lost",
        "duplicates",
        "hangs",
        "faults",
        "network outages",
    ):
        assert counts[fault] > 0, fault
    assert counts["refreshes"] > 50
    assert counts["calls: 200"] > 100


# -- Each rule, broken once ------------------------------------------------------------------------


def refuse_on_any_error(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        policy, "refusal", lambda r: r.code or ("REFRESH_INVALID" if not r.is_success else None)
    )


def no_commit_guard(patch: pytest.MonkeyPatch) -> None:
    real = policy.Policy._accept_refresh  # noqa: SLF001

    def accept_refresh(
        self: policy.Policy, record: Record, response: Response, requested_at: float, hint: str
    ) -> None:
        if self.session.record is None:
            self.session.restore(record, self.clock.monotonic())
        real(self, record, response, requested_at, hint)

    patch.setattr(policy.Policy, "_accept_refresh", accept_refresh)


def no_reload_of_the_store(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session_manager.SessionManager, "reload", lambda _: None)


def no_shared_attempt(patch: pytest.MonkeyPatch) -> None:
    numbers = count()

    def begin_attempt(self: Session) -> Record:
        return replace(self.require(), attempt=f"{next(numbers):022}")

    patch.setattr(Session, "begin_attempt", begin_attempt)


def no_attempts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Dialect, "sends_attempts", False)


def no_timeout(patch: pytest.MonkeyPatch) -> None:
    real = AsyncClient.get

    async def get(self: Any, url: str, **_: Any) -> Response:
        return await real(self, url, timeout=None)

    patch.setattr(AsyncClient, "get", get)


def untyped_errors(patch: pytest.MonkeyPatch) -> None:
    real = token_response.parse_token_response
    patch.setattr(
        policy, "parse_token_response", lambda r, **times: real(r, **times) or r.json()["none"]
    )


def never_retry(patch: pytest.MonkeyPatch) -> None:
    real = Session.note_failed_refresh

    def note_failed_refresh(
        self: Session, stale: Generation, now: float, retry_after: float | None
    ) -> None:
        real(self, stale, now, (retry_after or 0) + 1e9)

    patch.setattr(Session, "note_failed_refresh", note_failed_refresh)


def end_on_unreachable(patch: pytest.MonkeyPatch) -> None:
    real = Session.note_failed_refresh

    def note_failed_refresh(
        self: Session, stale: Generation, now: float, retry_after: float | None
    ) -> None:
        real(self, stale, now, retry_after)
        self.expire(stale, "REFRESH_INVALID")

    patch.setattr(Session, "note_failed_refresh", note_failed_refresh)


def is_detected(invariant: str, **changes: Any) -> bool:
    """Run up to sixty worlds; return whether the invariant was broken in one."""
    for seed in range(60):
        profile = (storm, office)[seed % 2](Random(seed))
        violations = simulate(seed, replace(profile, **changes)).violations
        if any(violation.startswith(invariant) for violation in violations):
            return True
    return False


@pytest.mark.parametrize(
    ("break_rule", "invariant"),
    [
        (refuse_on_any_error, "nobody is signed out unless the server ended the session"),
        (end_on_unreachable, "nobody is signed out unless the server ended the session"),
        (no_commit_guard, "after sign-out no token is stored"),
        (no_reload_of_the_store, "each refresh token is used in order"),
        (no_shared_attempt, "refreshes that are in flight at once share one attempt"),
        (no_attempts, "an honest client is never taken for a thief"),
        (no_timeout, "each call ends within its bound"),
        (untyped_errors, "each call ends with a response or a typed error"),
        (never_retry, "without faults the session becomes active"),
    ],
)
def test_a_broken_rule_is_detected(
    monkeypatch: pytest.MonkeyPatch, break_rule: Patch, invariant: str
) -> None:
    break_rule(monkeypatch)
    assert is_detected(invariant)
