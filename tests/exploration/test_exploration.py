"""Every interleaving within a scope keeps the invariants, and each broken rule is found."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest

from tests.exploration import model
from tests.exploration.__main__ import SHORT
from tests.exploration.model import Exploration, Scope
from unexpired import effects
from unexpired.dialect import Dialect
from unexpired.policy import Policy
from unexpired.session import Session
from unexpired.session_record import Generation, Record
from unexpired.token_response import Tokens
from unexpired_server.sessions import rules
from unexpired_server.sessions.rules import Decision

Patch = Callable[[pytest.MonkeyPatch], None]

REFUSED = "no honest holder is refused unless a thief acted"
SURVIVES = "once both sides have gone on, the session is dead"
OTHERS = "nobody's tokens reach another's hands"
EVENTS = "one event for one change"


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    """A broken rule must not leave its results to the next test."""
    for cached in (model.serve, model.read, model.before_attempt, model.check_output):
        cached.cache_clear()


@pytest.mark.parametrize("name", SHORT)
def test_no_interleaving_breaks_an_invariant(name: str) -> None:
    result = Exploration(SHORT[name]).run()
    assert (result.violation, result.story) == ("", ())
    assert result.states > 2_000


def decided(patch: pytest.MonkeyPatch, change: Callable[..., Decision]) -> None:
    """Replace the server's decision, given the real one and its arguments."""
    real = rules.decide
    patch.setattr(model, "decide", lambda *given: change(real(*given), *given))


# -- The server's rules ----------------------------------------------------------------------------


def a_grace_instead_of_attempts(patch: pytest.MonkeyPatch) -> None:
    real = rules.decide
    patch.setattr(
        model,
        "decide",
        lambda session, counter, _, now, limits: real(
            session, counter, rules.NO_ATTEMPT, now, limits
        ),
    )


def a_late_duplicate_is_a_theft(patch: pytest.MonkeyPatch) -> None:
    superseded = Decision.SUPERSEDED
    decided(patch, lambda real, *_: Decision.REUSE if real is superseded else real)


def any_attempt_repeats(patch: pytest.MonkeyPatch) -> None:
    decided(patch, lambda real, *_: Decision.REPEAT if real is Decision.REUSE else real)


def a_reuse_revokes_nothing(patch: pytest.MonkeyPatch) -> None:
    decided(patch, lambda real, *_: Decision.SUPERSEDED if real is Decision.REUSE else real)


def a_lost_step_is_like_one_without_an_attempt(patch: pytest.MonkeyPatch) -> None:
    real = rules.refreshed

    def refreshed(*given: Any) -> rules.Session:
        stepped = real(*given)
        marks = [rules.NO_ATTEMPT if one == rules.LOST else one for one in stepped.attempts]
        return replace(stepped, attempts=tuple(marks))

    patch.setattr(model, "refreshed", refreshed)


def a_database_that_is_behind_refuses(patch: pytest.MonkeyPatch) -> None:
    ahead = Decision.ROLL_FORWARD
    decided(patch, lambda real, *_: Decision.REVOKED if real is ahead else real)


# -- The client's rules ----------------------------------------------------------------------------


def no_attempt_is_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Dialect, "sends_attempts", False)


def an_attempt_is_not_kept(patch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(10**9))

    def begin_attempt(self: Session) -> Record:
        self.record = replace(self.require(), attempt=f"{next(numbers) % 3:022}")
        return self.record

    patch.setattr(Session, "begin_attempt", begin_attempt)


def a_superseded_refresh_is_not_reported(patch: pytest.MonkeyPatch) -> None:
    def was_stored_elsewhere(
        _policy: Policy, _record: Record
    ) -> Generator[effects.Effect, Any, bool]:
        yield effects.Sleep(0)
        return True

    patch.setattr(Policy, "_was_stored_elsewhere", was_stored_elsewhere)


def a_superseded_refresh_is_a_refusal(patch: pytest.MonkeyPatch) -> None:
    def was_stored_elsewhere(
        _policy: Policy, _record: Record
    ) -> Generator[effects.Effect, Any, bool]:
        yield effects.Sleep(0)
        return False

    patch.setattr(Policy, "_was_stored_elsewhere", was_stored_elsewhere)


def a_result_counts_for_any_session(patch: pytest.MonkeyPatch) -> None:
    real = Session.renew

    def renew(self: Session, stale: Generation, tokens: Tokens, now: float) -> bool:
        return real(self, self.require().generation if self.record else stale, tokens, now)

    def record_for(self: Session, generation: Generation) -> Record:
        return replace(self.require(), generation=generation)

    patch.setattr(Session, "renew", renew)
    patch.setattr(Session, "record_for", record_for)


def an_event_without_a_change(patch: pytest.MonkeyPatch) -> None:
    real = Session.adopt

    def adopt(self: Session, record: Record | None, now: float, monotonic: float) -> None:
        real(self, record, now, monotonic)
        if record is not None:
            self.events.append(("refreshed", ()))

    patch.setattr(Session, "adopt", adopt)


TWO = Scope(generations=1)
LATE = Scope(generations=2, flight=2)
THEFT = Scope(generations=3, thief=True, duplicates=0)


@pytest.mark.parametrize(
    ("break_rule", "scope", "invariant"),
    [
        (a_grace_instead_of_attempts, TWO, REFUSED),
        (a_late_duplicate_is_a_theft, LATE, REFUSED),
        (any_attempt_repeats, THEFT, SURVIVES),
        (a_reuse_revokes_nothing, THEFT, SURVIVES),
        (a_lost_step_is_like_one_without_an_attempt, replace(LATE, restores=1), REFUSED),
        (a_database_that_is_behind_refuses, Scope(generations=2, restores=1), REFUSED),
        (no_attempt_is_sent, TWO, REFUSED),
        (an_attempt_is_not_kept, TWO, REFUSED),
        (a_superseded_refresh_is_not_reported, THEFT, SURVIVES),
        (a_superseded_refresh_is_a_refusal, LATE, REFUSED),
        (a_result_counts_for_any_session, replace(TWO, persons=True), OTHERS),
        (an_event_without_a_change, TWO, EVENTS),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_rule_is_found(
    monkeypatch: pytest.MonkeyPatch, break_rule: Patch, scope: Scope, invariant: str
) -> None:
    break_rule(monkeypatch)
    assert Exploration(scope).run().violation.startswith(invariant)
