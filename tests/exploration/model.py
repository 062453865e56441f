"""Every interleaving of one device's tabs, a network, a server and a thief.

The server's rules, the session and the policy are the real ones. What is modelled is the world
around them: which message comes when, and what fails. A state is explored breadth first, so the
story of a violation is a shortest one.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple, TypeVar

from tests.exploration.tab import HONEST_ENDS, Input, Output, Tabs, token_body
from unexpired.session_record import Record, loads
from unexpired_server.sessions.rules import (
    Decision,
    Session,
    SessionPolicy,
    decide,
    hash_attempt,
    refreshed,
)
from unexpired_server.sessions.sessions import REFUSALS as FAILURES

POLICY = SessionPolicy(idle_ttl=1e9, absolute_ttl=1e9, grace=30)
AGES = (0.0, 10.0, 30.0)
"""Seconds since the last step, at the boundaries of the rules; each is the first outside one."""

ANSWERS = {decision: (failure.status, failure.code) for decision, failure in FAILURES.items()}

FIRST = "ada"
THIEFS_OWN = "thief-attempt-of-22-chars"


@dataclass(frozen=True)
class Scope:
    """How far an exploration goes.

    Attributes:
        generations: Of how many generations tabs refresh the tokens; a second person's, one less.
        flight: Requests, and responses, that are under way at once.
        crashes: How often a tab may crash and be opened again.
        restores: How often the database may lose its last step.
        thief: Whether somebody may copy the stored record, once.
        persons: Whether a person may sign out, and another one sign in.
        stale: How often a tab may begin without seeing the attempt that another has just stored.
        duplicates: How often a request may be delivered twice.
    """

    generations: int = 2
    flight: int = 1
    crashes: int = 0
    restores: int = 0
    thief: bool = False
    persons: bool = False
    stale: int = 0
    duplicates: int = 1


class Row(NamedTuple):
    """A session in the database, and how long ago its last step was (an index into AGES)."""

    session: Session
    age: int


class Request(NamedTuple):
    """A refresh on its way to the server."""

    tab: int
    session: str
    counter: int
    attempt: str | None


class Thief(NamedTuple):
    """What somebody else holds: a token, the attempt that was stored with it, and whether used."""

    session: str
    counter: int
    attempt: str | None
    copied: int
    has_acted: bool = False


class Left(NamedTuple):
    """How often each of these may still happen; see Scope."""

    crashes: int
    restores: int
    thefts: int
    persons: int
    stale: int
    duplicates: int


NOTHING_LEFT = Left(0, 0, 0, 0, 0, 0)


class State(NamedTuple):
    """Everything that the next steps can depend on.

    Attributes:
        rows: The sessions in the database.
        stored: The text in the browser's storage.
        tabs: The state of each tab.
        waiting: What each tab's refresh waits for: "pause", its request, or nothing.
        requests: On their way to the server.
        responses: On their way back.
        thief: What a thief holds, or None.
        left: What may still happen.
    """

    rows: tuple[Row, ...]
    stored: str | None
    tabs: tuple[int, int]
    waiting: tuple[Request | str, Request | str]
    requests: frozenset[Request]
    responses: frozenset[tuple[Request, tuple[int, str]]]
    thief: Thief | None
    left: Left


class Violation(AssertionError):  # noqa: N818 - it is what was found, not an error of ours
    """An invariant that does not hold."""


@dataclass(frozen=True)
class Result:
    """What an exploration found.

    Attributes:
        states: How many states were visited.
        depth: The largest number of steps from the start.
        violation: The first broken invariant, or "".
        story: The steps that lead to it.
    """

    states: int
    depth: int
    violation: str = ""
    story: tuple[str, ...] = ()


class Exploration:
    """Visits every state within a scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.tabs = Tabs()
        self._checked: set[tuple[Session, Thief, str | None]] = set()

    def run(self) -> Result:
        """Visit the states breadth first, until an invariant is broken or none is left."""
        start = self.start()
        came_from: dict[State, tuple[State, str] | None] = {start: None}
        depths = {start: 0}
        todo = deque([start])
        while todo:
            state = todo.popleft()
            try:
                for story, after in self.steps(state):
                    if after not in came_from:
                        came_from[after], depths[after] = (state, story), depths[state] + 1
                        todo.append(after)
                self.check(state)
            except Violation as broken:
                return Result(len(came_from), depths[state], str(broken), told(came_from, state))
        return Result(len(came_from), max(depths.values()))

    def start(self) -> State:
        """Return the state after a sign-in in the first tab, which the second has seen."""
        session = Session(FIRST, FIRST, 0, 0.0, 0.0)
        empty = self.tabs.open("a", None)
        stored = self.tabs.take(empty, Input("sign_in", None, person=FIRST)).stored
        opened = self.tabs.open("a", stored), self.tabs.open("b", stored)
        scope = self.scope
        left = Left(
            scope.crashes,
            scope.restores,
            int(scope.thief),
            int(scope.persons),
            scope.stale,
            scope.duplicates,
        )
        nothing: frozenset[Request] = frozenset()
        row = Row(session, len(AGES) - 1)
        return State((row,), stored, opened, ("", ""), nothing, frozenset(), None, left)

    # -- What may happen next ------------------------------------------------------------------

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """Yield each thing that may happen next, and the state after it."""
        yield from self._time_steps(state)
        for tab in (0, 1):
            yield from self._tab_steps(state, tab)
        for request in state.requests:
            yield from self._request_steps(state, request)
        for response in state.responses:
            yield from self._response_steps(state, *response)
        if state.thief is None:
            yield from self._copy_steps(state)
        else:
            yield from self._thief_steps(state, state.thief)

    def _time_steps(self, state: State) -> Iterator[tuple[str, State]]:
        if any(row.age < len(AGES) - 1 for row in state.rows):
            older = (row._replace(age=min(row.age + 1, len(AGES) - 1)) for row in state.rows)
            yield "time passes", state._replace(rows=tuple(older))
        left, row = state.left, state.rows[-1]
        if left.restores and row.session.counter and row.session.revoked_at is None:
            lost = replace(
                row.session, counter=row.session.counter - 1, attempts=row.session.attempts[:-1]
            )
            rows = (*state.rows[:-1], Row(lost, len(AGES) - 1))
            yield (
                "the database loses a step",
                state._replace(rows=rows, left=left._replace(restores=left.restores - 1)),
            )

    def _tab_steps(self, state: State, tab: int) -> Iterator[tuple[str, State]]:
        name, waits = "ab"[tab], state.waiting[tab]
        left = state.left
        if not waits and self._may_refresh(state):
            yield f"{name} refreshes", self._take(state, tab, Input("start", state.stored))
            if left.stale and (before := self._before_attempt(state, 1 - tab)):
                fewer = state._replace(left=left._replace(stale=left.stale - 1))
                begun = self._take(fewer, tab, Input("start", before))
                yield f"{name} refreshes on what it saw before", begun
        if waits == "pause":
            yield f"{name} goes on", self._take(state, tab, Input("wake", state.stored))
        if isinstance(waits, Request):
            yield f"{name} gives up", self._take(state, tab, Input("lost", state.stored))
        yield f"{name} looks", self._take(state, tab, Input("look", state.stored))
        if left.crashes:
            opened = with_tab(state.tabs, tab, self.tabs.open("cd"[tab], state.stored))
            idle = with_tab(state.waiting, tab, "")
            fewer = state._replace(left=left._replace(crashes=left.crashes - 1))
            yield f"{name} crashes", fewer._replace(tabs=opened, waiting=idle)
        if left.persons:
            yield from self._person_steps(state, tab)

    def _person_steps(self, state: State, tab: int) -> Iterator[tuple[str, State]]:
        name = "ab"[tab]
        ada = state.rows[0]
        ended = Row(replace(ada.session, revoked_at=ada.session.revoked_at or 1.0), ada.age)
        out = state._replace(left=state.left._replace(persons=0), rows=(ended,))
        if state.stored is not None:
            yield f"{name} signs out", self._take(out, tab, Input("sign_out", state.stored))
        both = out._replace(rows=(ended, Row(Session("bob", "bob", 0, 0.0, 0.0), len(AGES) - 1)))
        signed_in = self._take(both, tab, Input("sign_in", state.stored, person="bob"))
        yield f"bob signs in with {name}", signed_in

    def _request_steps(self, state: State, request: Request) -> Iterator[tuple[str, State]]:
        without, left = state._replace(requests=state.requests - {request}), state.left
        yield f"the request of {request.counter} is lost", without
        rows, answer = serve(state.rows, request.session, request.counter, request.attempt)
        responses = state.responses
        if len(responses) < self.scope.flight:
            responses |= {(request, answer)}
        served = f"{request.counter} is served: {brief(answer)}"
        yield served, without._replace(rows=rows, responses=responses)
        if left.duplicates:
            again = state._replace(left=left._replace(duplicates=left.duplicates - 1))
            yield f"{served}, and comes twice", again._replace(rows=rows, responses=responses)

    def _response_steps(
        self, state: State, request: Request, answer: tuple[int, str]
    ) -> Iterator[tuple[str, State]]:
        without = state._replace(responses=state.responses - {(request, answer)})
        yield f"the response to {request.counter} is lost", without
        if state.waiting[request.tab] == request:
            given = Input("response", state.stored, response=answer)
            yield (
                f"{'ab'[request.tab]} receives {brief(answer)}",
                self._take(without, request.tab, given),
            )

    def _copy_steps(self, state: State) -> Iterator[tuple[str, State]]:
        if state.left.thefts and state.stored is not None:
            record = read(state.stored)
            session, counter = token_in(str(record.tokens.refresh_token))
            copy = Thief(session, counter, record.attempt, counter)
            left = state.left._replace(thefts=0)
            yield "a thief copies the record", state._replace(thief=copy, left=left)

    def _thief_steps(self, state: State, thief: Thief) -> Iterator[tuple[str, State]]:
        if thief.counter >= self.scope.generations + 1:
            return
        attempts = {THIEFS_OWN + str(thief.counter), None}
        if thief.attempt is not None:
            attempts.add(thief.attempt)
        for attempt in attempts:
            after, answer = act_as_thief(state, attempt)
            yield f"the thief presents {thief.counter}: {brief(answer)}", after

    def _before_attempt(self, state: State, other: int) -> str | None:
        """Return what was stored before the other tab's new attempt, as long as one may see that.

        A write is seen everywhere before the tab that made it goes on.
        """
        attempt = read(state.stored).attempt if state.stored else None
        if attempt is None or state.waiting[other] != "pause":
            return None
        is_sent = any(request.attempt == attempt for request in state.requests)
        is_known = any(hash_attempt(attempt) in row.session.attempts for row in state.rows)
        return None if is_sent or is_known else before_attempt(state.stored)

    def _may_refresh(self, state: State) -> bool:
        if state.stored is None or len(state.requests) >= self.scope.flight:
            return False
        record = read(state.stored)
        longest = self.scope.generations - (record.generation.session != FIRST)
        return record.can_renew and record.generation.number <= longest

    # -- A tab takes a step --------------------------------------------------------------------

    def _take(self, state: State, tab: int, given: Input) -> State:
        output = self.tabs.take(state.tabs[tab], given)
        self._check_output(state, output)
        waits: Request | str = output.wants
        requests = state.requests
        if output.request is not None:
            waits = request_of(tab, output.request)
            requests |= {waits}
        elif output.wants == "send":
            waits = state.waiting[tab]
        return state._replace(
            stored=output.stored,
            tabs=with_tab(state.tabs, tab, output.tab),
            waiting=with_tab(state.waiting, tab, waits),
            requests=requests,
        )

    # -- The invariants ------------------------------------------------------------------------

    def _check_output(self, state: State, output: Output) -> None:
        is_over = self.scope.persons and not state.left.persons  # Somebody signed out.
        thief_acted = state.thief is not None and state.thief.has_acted
        if output.error in HONEST_ENDS and not thief_acted and not is_over:
            raise Violation(f"no honest holder is refused unless a thief acted: {output.error}")
        ended = any("expired" in change.events for change in output.changes)
        if ended and not thief_acted and not is_over:
            raise Violation("nobody is signed out unless a thief acted")
        check_output(output)

    def check(self, state: State) -> None:
        """Check what must follow from a state, whatever happens next."""
        thief, row = state.thief, state.rows[-1].session
        if thief is None or not thief.has_acted or row.revoked_at is not None:
            return
        essence = row, thief, state.stored
        if essence in self._checked or not state.stored or thief.counter <= thief.copied:
            return
        self._checked.add(essence)
        for thief_first in (True, False) if read(state.stored).can_renew else ():
            if not self._ends(state, thief_first=thief_first):
                raise Violation("once both sides have gone on, the session is dead")

    def _ends(self, state: State, *, thief_first: bool) -> bool:
        """Let both sides refresh in turn, at leisure; return whether that ends the session."""
        quiet = state._replace(requests=frozenset(), responses=frozenset(), left=NOTHING_LEFT)
        for is_thief in (thief_first, not thief_first) * 2:
            aged = tuple(row._replace(age=len(AGES) - 1) for row in quiet.rows)
            quiet = quiet._replace(rows=aged)
            if is_thief and quiet.thief is not None:
                quiet, _ = act_as_thief(quiet, THIEFS_OWN + str(quiet.thief.counter))
            else:
                quiet = self._refresh_in_peace(quiet)
        return quiet.rows[-1].session.revoked_at is not None

    def _refresh_in_peace(self, state: State) -> State:
        """Reload the page and let it refresh, with nothing lost."""
        if state.stored is None or not read(state.stored).can_renew:
            return state
        state = state._replace(tabs=with_tab(state.tabs, 0, self.tabs.open("a", state.stored)))
        state = self._take(state, 0, Input("start", state.stored))
        while state.waiting[0]:
            waits = state.waiting[0]
            if isinstance(waits, Request):
                rows, answer = serve(state.rows, waits.session, waits.counter, waits.attempt)
                given = Input("response", state.stored, response=answer)
                state = self._take(state._replace(rows=rows), 0, given)
            else:
                state = self._take(state, 0, Input("wake", state.stored))
        return state


@cache
def read(stored: str) -> Record:
    """Return a stored record."""
    return loads(stored)


@cache
def before_attempt(stored: str | None) -> str | None:
    """Return what a tab still saw that did not see the attempt of another."""
    record = read(stored) if stored else None
    return replace(record, attempt=None).dumps() if record and record.attempt else None


@cache
def check_output(output: Output) -> None:
    """Check that each change has one event, and that the stored tokens are those of the session."""
    for change in output.changes:
        before, after = change.before, change.after
        expected = {
            "refreshed": bool(before and after and after.is_newer_than(before)),
            "signed_in": bool(after and (before is None or before.session != after.session)),
            "signed_out": bool(before and after is None),
        }
        happened = ["signed_out" if name == "expired" else name for name in change.events]
        for name, is_expected in expected.items():
            if happened.count(name) != is_expected:
                raise Violation(f"one event for one change: {change.events}")
    if output.stored is not None:
        record = read(output.stored)
        whose, _ = token_in(str(record.tokens.refresh_token))
        if whose != record.generation.session:
            raise Violation("nobody's tokens reach another's hands")


@cache
def serve(
    rows: tuple[Row, ...], session: str, counter: int, attempt: str | None
) -> tuple[tuple[Row, ...], tuple[int, str]]:
    """Return the rows after a refresh, and the response, as the server's store has it."""
    index = next(i for i, row in enumerate(rows) if row.session.id == session)
    row = rows[index]
    now, hashed = AGES[row.age], hash_attempt(attempt)
    decision = decide(row.session, counter, hashed, now, POLICY)
    if decision is Decision.REUSE:
        row = Row(replace(row.session, revoked_at=1.0), row.age)
    if decision in {Decision.ROTATE, Decision.ROLL_FORWARD}:
        stepped = refreshed(row.session, counter, hashed, now, POLICY)
        row = Row(replace(stepped, refreshed_at=0.0), 0)
    changed = (*rows[:index], row, *rows[index + 1 :])
    if decision in ANSWERS:
        status, code = ANSWERS[decision]
        return changed, (status, json.dumps({"code": code}))
    return changed, (200, token_body(session, row.session.counter))


@cache
def request_of(tab: int, body: str) -> Request:
    """Return the request that a tab sends."""
    sent = json.loads(body)
    return Request(tab, *token_in(sent["refreshToken"]), sent.get("attempt"))


def act_as_thief(state: State, attempt: str | None) -> tuple[State, tuple[int, str]]:
    """Let the thief refresh; its messages are never lost."""
    thief = state.thief
    assert thief is not None
    rows, answer = serve(state.rows, thief.session, thief.counter, attempt)
    thief = thief._replace(has_acted=True)
    if answer[0] == 200:
        _, counter = token_in(json.loads(answer[1])["refreshToken"])
        thief = thief._replace(counter=counter, attempt=None)
    return state._replace(rows=rows, thief=thief), answer


def token_in(token: str) -> tuple[str, int]:
    """Return the session and the counter of a refresh token."""
    session, _, counter = token.partition(".")
    return session, int(counter)


@cache
def brief(answer: tuple[int, str]) -> str:
    """Return a response in one word."""
    fields = json.loads(answer[1])
    return str(fields.get("code") or fields["refreshToken"])


T = TypeVar("T")


def with_tab(values: tuple[T, T], tab: int, value: T) -> tuple[T, T]:
    """Return the values with the one of a tab replaced."""
    return (value, values[1]) if tab == 0 else (values[0], value)


def told(came_from: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    """Return the steps from the start to a state."""
    story = []
    while before := came_from[state]:
        state, step = before
        story.append(step)
    return tuple(reversed(story))
