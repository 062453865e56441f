"""A tab: the real session and policy, as a function from one state and one input to the next.

A generator cannot be copied. So a state of a tab is known by what can be seen of it, and is built
again from the inputs that once led to it. Each pair of a state and an input is tried only once.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Hashable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from inspect import getclosurevars
from types import FunctionType, GeneratorType
from typing import Any

from unexpired.effects import Effect, Send, Sleep
from unexpired.errors import SessionEnded, SessionExpired, UnexpiredError, Unreachable
from unexpired.messages import Response
from unexpired.options import Options
from unexpired.ports import NoNavigator
from unexpired.session_manager import SessionManager
from unexpired.session_record import Generation
from unexpired.token_response import Tokens

API = "https://api.example"
OPTIONS = Options(base_url=API, on_expired="event")
NOW = 1_800_000_000.0
TIMES = {"_refreshed_at", "_pace", "_backoff_until", "_came_at"}
"""Of the session. Time stands still here, and nothing that is explored depends on them."""


@dataclass(frozen=True, slots=True)
class Input:
    """What happens to a tab.

    Attributes:
        what: ``start`` a refresh, ``wake`` from a pause, a ``response`` came or was ``lost``,
            ``look`` at the store, ``sign_in`` or ``sign_out``.
        stored: The text in the store at this moment.
        response: The status and the body that came.
        person: Who signs in.
    """

    what: str
    stored: str | None
    response: tuple[int, str] | None = None
    person: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """The generations that a tab held before and after, and the names of the events."""

    before: Generation | None
    after: Generation | None
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """What a tab does then.

    Attributes:
        tab: Its next state.
        stored: The text in the store afterwards.
        wants: ``pause``, ``send`` or nothing: what its refresh waits for.
        request: The body of the request that it sends now.
        error: The name of the error that ended its refresh.
        changes: What looking at the store changed, and then the input itself.
    """

    tab: int
    stored: str | None
    wants: str = ""
    request: str | None = None
    error: str = ""
    changes: tuple[Change, ...] = ()


class Store:
    """The text that this tab reads and writes."""

    text: str | None = None

    def load(self) -> str | None:
        return self.text

    def save(self, text: str) -> None:
        self.text = text

    def clear(self) -> None:
        self.text = None


class Clock:
    """Stands still: what depends on time is in the server."""

    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@dataclass
class Tab:
    """One tab of one person's device."""

    name: str
    stored: str | None
    flow: Generator[Effect, Any, None] | None = None
    wants: str = ""
    request: str | None = None
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store()
        self.store.text = self.stored
        self.manager = SessionManager(OPTIONS, self.store, NoNavigator(), Clock())
        session = self.manager.session
        session._jitter = lambda: 1.0  # noqa: SLF001 - no randomness here
        session._new_attempt = self.new_attempt  # noqa: SLF001
        for event in ("signed_in", "refreshed", "expired", "signed_out", "degraded", "recovered"):
            self.manager.emitter.on(event, lambda *_, event=event: self.events.append(event))
        self.manager.load()

    def new_attempt(self) -> str:
        """Return what no other tab, and no other generation, has."""
        generation = self.manager.session.require().generation
        return f"{self.name}-{generation.session}-{generation.number}-of-22-characters"

    def take(self, given: Input) -> Output:
        """Take an input as the drivers of both clients do: read the store, step, write it."""
        self.store.text, self.request, self.events = given.stored, None, []
        before = self.generation
        self.manager.reload()
        looked, error = self._change_since(before), ""
        try:
            self._step(given)
        except UnexpiredError as ended:
            self.flow, self.wants, error = None, "", type(ended).__name__
        except StopIteration:
            self.flow, self.wants = None, ""
        self.manager.commit()
        changes = looked, self._change_since(looked.after)
        return Output(-1, self.store.text, self.wants, self.request, error, changes)

    def _change_since(self, before: Generation | None) -> Change:
        events, self.events = tuple(self.events), []
        return Change(before, self.generation, events)

    @property
    def generation(self) -> Generation | None:
        """The generation of the tokens that this tab holds."""
        record = self.manager.session.record
        return record.generation if record else None

    def _step(self, given: Input) -> None:
        policy, session = self.manager.policy, self.manager.session
        match given.what:
            case "sign_in":
                session.sign_in(given.person, tokens_of(given.person, 0), 0.0)
            case "sign_out":
                session.sign_out("here")
            case "start":
                self.flow = policy.renew(is_locked=False)
                self._await(next(self.flow))
            case "wake" if self.flow:
                self._await(self.flow.send(None))
            case "response" if self.flow and given.response:
                status, body = given.response
                self._await(self.flow.send(Response(status, content=body.encode())))
            case "lost" if self.flow:
                self._await(self.flow.throw(Unreachable()))

    def _await(self, effect: Effect) -> None:
        if isinstance(effect, Sleep):
            self.wants = "pause"
        elif isinstance(effect, Send) and isinstance(effect.request.body, bytes):
            self.wants, self.request = "send", effect.request.body.decode()

    def key(self) -> Hashable:
        """Return all that the next steps can depend on."""
        session, manager = self.manager.session, self.manager
        parts = {
            name: value
            for name, value in vars(session).items()
            if not callable(value)
            and name not in {"_refreshed_at", "_pace", "_backoff_until", "_came_at"}
        }
        parts["failures"] = min(session.failures, 1)
        written = manager._text, manager._written is session.record  # noqa: SLF001
        return self.name, freeze(parts), written, freeze(self.flow), self.wants


class Tabs:
    """Every state of a tab that was met, and what followed each input."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._histories: list[tuple[str, str | None, tuple[Input, ...]]] = []
        self._outputs: dict[tuple[int, Input], Output] = {}
        self._opened: dict[tuple[str, str | None], int] = {}

    def open(self, name: str, stored: str | None) -> int:
        """Open a tab on what is stored; return its state."""
        if (name, stored) not in self._opened:
            self._opened[name, stored] = self._number(Tab(name, stored), (name, stored, ()))
        return self._opened[name, stored]

    def take(self, state: int, given: Input) -> Output:
        """Return what a tab in this state does with an input."""
        if (state, given) not in self._outputs:
            name, stored, inputs = self._histories[state]
            tab = Tab(name, stored)
            for earlier in inputs:
                tab.take(earlier)
            output = tab.take(given)
            number = self._number(tab, (name, stored, (*inputs, given)))
            self._outputs[state, given] = replace(output, tab=number)
        return self._outputs[state, given]

    def _number(self, tab: Tab, history: tuple[str, str | None, tuple[Input, ...]]) -> int:
        number = self._numbers.setdefault(tab.key(), len(self._histories))
        if number == len(self._histories):
            self._histories.append(history)
        return number


def place_of(flow: GeneratorType[Any, Any, Any]) -> Hashable:
    """Return where a generator stands, and with which values; None if it has ended."""
    frame = flow.gi_frame
    if frame is None:
        return None
    local = {name: one for name, one in frame.f_locals.items() if name != "self"}
    return flow.gi_code.co_name, frame.f_lasti, freeze(local), freeze(flow.gi_yieldfrom)


def rule_of(function: FunctionType) -> Hashable:
    """Return what a function is, and the values that it has from outside."""
    outside = {**getclosurevars(function).nonlocals, "self": None}
    return function.__qualname__, freeze(outside)


def freeze(value: Any) -> Hashable:
    """Return a value in a form that can be compared; a generator by where it stands."""
    if isinstance(value, GeneratorType | FunctionType):
        return place_of(value) if isinstance(value, GeneratorType) else rule_of(value)
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(freeze(getattr(value, each.name)) for each in fields(value))
    if isinstance(value, Mapping):
        return tuple(sorted((name, freeze(one)) for name, one in value.items()))
    if isinstance(value, set | frozenset):
        return frozenset(map(freeze, value))
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    return value if isinstance(value, Hashable) else repr(value)


def tokens_of(session: str, counter: int) -> Tokens:
    """Return the tokens that a sign-in brought."""
    return Tokens(access_token_of(session, counter), f"{session}.{counter}", NOW + 900, 900.0)


def access_token_of(session: str, counter: int) -> str:
    """Return an access token, which nothing looks into here."""
    return f"access.{session}.{counter}"


def token_body(session: str, counter: int) -> str:
    """Return the body of a response with tokens."""
    return json.dumps(
        {
            "accessToken": access_token_of(session, counter),
            "refreshToken": f"{session}.{counter}",
            "expiresIn": 900,
        }
    )


HONEST_ENDS = {SessionEnded.__name__, SessionExpired.__name__}
"""The errors with which a refresh tells that the session is over."""
