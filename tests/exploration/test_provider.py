"""What of the invariants holds at a server without attempts and grace, as a provider's is.

The tabs hold the lock for as long as their refresh takes, as the clients do there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.exploration import model
from tests.exploration.model import Exploration, Request, Scope, State
from tests.exploration.test_exploration import REFUSED
from unexpired.dialect import Dialect
from unexpired_server.sessions.rules import SessionPolicy

NO_GRACE = SessionPolicy(idle_ttl=1e9, absolute_ttl=1e9, grace=0)
FAULTS = {"a response is lost", "a tab gives up on a request under way", "there is no lock"}
ONE_REFRESH = Scope(generations=1, flight=2, duplicates=0)


class AtProvider(Exploration):
    """Visits the states in which only some faults happen.

    Args:
        scope: How far it goes.
        faults: What may go wrong, of ``FAULTS``.
    """

    def __init__(self, scope: Scope, *faults: str) -> None:
        super().__init__(scope)
        self._faults = {*faults}

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """Yield each thing that may happen next, and the state after it."""
        for story, after in super().steps(state):
            if not self._fault(story, state) - self._faults:
                yield story, after

    def _fault(self, story: str, state: State) -> set[str]:
        """Return which fault a step is, if any."""
        if story.startswith("the response to"):
            return {"a response is lost"}
        if story.endswith(" gives up") and self._is_under_way(story, state):
            return {"a tab gives up on a request under way"}
        if story.endswith(" refreshes") and any(state.waiting):
            return {"there is no lock"}
        return set()

    def _is_under_way(self, story: str, state: State) -> bool:
        waits = state.waiting["ab".index(story[0])]
        answered = {request for request, _ in state.responses}
        return isinstance(waits, Request) and waits in state.requests | answered


@pytest.fixture(autouse=True)
def _at_a_provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cached = (model.serve, model.read, model.before_attempt, model.check_output)
    monkeypatch.setattr(Dialect, "sends_attempts", False)
    monkeypatch.setattr(model, "POLICY", NO_GRACE)
    for each in cached:
        each.cache_clear()
    yield
    for each in cached:
        each.cache_clear()


@pytest.mark.parametrize(
    "scope",
    [
        Scope(generations=3, duplicates=0),
        Scope(generations=2, flight=2, duplicates=0),
        Scope(generations=2, thief=True, duplicates=0),
        Scope(generations=2, persons=True, duplicates=0),
    ],
    ids=["two tabs", "two messages", "a thief", "two persons"],
)
def test_while_each_response_arrives_no_interleaving_breaks_an_invariant(scope: Scope) -> None:
    result = AtProvider(scope).run()
    assert (result.violation, result.story) == ("", ())
    assert result.states > 200


@pytest.mark.parametrize(
    ("fault", "scope"),
    [
        *((fault, ONE_REFRESH) for fault in sorted(FAULTS)),
        ("", replace(ONE_REFRESH, crashes=1)),
        ("", replace(ONE_REFRESH, generations=2, duplicates=1)),
    ],
    ids=[*sorted(FAULTS), "a reload during a refresh", "a request arrives twice"],
)
def test_what_an_attempt_saves_a_session_from_ends_it(fault: str, scope: Scope) -> None:
    result = AtProvider(scope, fault).run()
    assert result.violation.startswith(REFUSED)
