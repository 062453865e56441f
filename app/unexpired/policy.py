"""What to send next, as generators of effects. No await, no clock, no socket, no JavaScript.

A flow yields ``Send``, ``Sleep`` or ``Refresh`` and is sent what came of it; a failure of the
transport is thrown into it as ``Unreachable``. It returns the response or raises a typed error. So
one policy serves the async client, the sync client, a test that feeds it by hand, and a simulation.

    call ── usable ── send ── judge ─┬─ done
                                     ├─ replay   a newer generation is stored: no refresh
                                     ├─ refresh  once, then replay once
                                     └─ end      the session is over
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from unexpired.backoff import SHORTEST_PAUSE
from unexpired.errors import ReplayImpossible, SessionExpired, UnexpiredError, Unreachable
from unexpired.messages import Request, Response
from unexpired.options import Options
from unexpired.ports import Clock
from unexpired.session import Generation, Record, Session
from unexpired.token_response import (
    ENDINGS,
    EXPIRED,
    parse_retry_after,
    parse_token_response,
    refusal,
    sign_in_error,
)

IMPATIENT = 0.25  # A call whose token is still good waits this part of refresh_timeout, no longer.


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request; the outcome is its Response, or Unreachable after ``timeout`` seconds."""

    request: Request
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait so many seconds, or less when something happened that makes it worth looking again."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refresh:
    """Make the session newer than the generation, waiting ``within`` seconds for it.

    If it already is newer, this is done at once: a late 401 never causes a second refresh.
    """

    stale: Generation
    within: float


Effect = Send | Sleep | Refresh
Flow = Generator[Effect, Any, Response]
Waiting = Generator[Effect, Any, None]


class Outcome(Enum):
    """What an answer means for the call that it answers."""

    DONE = auto()
    REPLAY = auto()
    REFRESH = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one client.

    Args:
        session: the session that the calls are made in.
        options: the client's options.
        clock: tells the time: by the wall for what expires, monotonic for what is waited for.
    """

    session: Session
    options: Options
    clock: Clock

    # -- A call --------------------------------------------------------------------------------

    def call(self, request: Request) -> Flow:
        """Make one call, with everything that its token needs.

        Raises:
            NotSignedIn: if there is no session.
            SessionExpired: if the session's time is over.
            SessionEnded: if the session was revoked or signed out.
            Unreachable: if no answer came.
            ReplayImpossible: if the call must be repeated and its body is spent.
        """
        if "authorization" in request.headers or not self.options.trusts(request.url):
            # The caller's own credentials, or a server that is not ours: hands off.
            return (yield from _sent(request))
        record = yield from self._usable()
        response = yield from _sent(_bearing(request, record))
        outcome = self._classify(response, record.generation)
        if outcome is Outcome.REFRESH:
            yield from self._refresh_until_deadline(record, self.options.refresh_timeout)
        if outcome is Outcome.DONE:
            return response
        return (yield from self._replay(request, self.session.record_for(record.generation)))

    def _replay(self, request: Request, record: Record) -> Flow:
        if not request.is_replayable:
            raise ReplayImpossible
        response = yield from _sent(_bearing(request, record))
        self._classify(
            response, record.generation
        )  # It may end the session; it is not tried again.
        return response

    def _classify(self, response: Response, sent: Generation) -> Outcome:
        """Say what the answer means; raise where it means the end."""
        if response.status_code not in {401, 403} and not self.session.was_replaced(sent):
            return Outcome.DONE
        current = self.session.record_for(sent)  # An answer for a session that is gone is nobody's.
        told = self.options.dialect.read_answer(response)
        outcome = classify(told, sent, current.generation)
        if outcome is Outcome.END:
            raise self.session.expire(sent, told.code or EXPIRED)
        return outcome

    # -- A token that can be sent --------------------------------------------------------------

    def _usable(self) -> Generator[Effect, Any, Record]:
        """Return a record whose access token is worth sending, renewed if it is due."""
        record = self.session.require()
        now = self.clock.now()
        if not record.can_renew or now < record.due_at(self.options.margin):
            return record  # With nothing to renew it by, the server is to say when it is over.
        if record.has_expired(now):
            yield from self._refresh_until_deadline(record, self.options.refresh_timeout)
        elif not self._pause_left():
            yield from self._refresh_ahead(record)
        return self.session.record_for(record.generation)

    def _refresh_ahead(self, record: Record) -> Waiting:
        """Try to renew ahead of need; the token is still good, so a failure costs nothing."""
        try:
            yield Refresh(record.generation, self.options.refresh_timeout * IMPATIENT)
        except (Unreachable, SessionExpired):
            if record.has_expired(self.clock.now()):
                yield from self._refresh_until_deadline(record, self.options.refresh_timeout)

    def _refresh_until_deadline(self, record: Record, patience: float) -> Waiting:
        """Renew the tokens, waiting out an outage for as long as the patience lasts, in seconds."""
        deadline = self.clock.monotonic() + patience
        while True:
            current = self.session.record_for(record.generation)
            if current.generation.is_newer_than(record.generation):
                return
            if not current.can_renew:
                raise self.session.expire(current.generation, current.refused or EXPIRED)
            try:
                yield from self._attempt(current.generation, deadline)
            except SessionExpired:
                continue  # Refused: the record says so now.
            except Unreachable:
                if self.clock.monotonic() + self._pause_left() >= deadline:
                    raise

    def _attempt(self, stale: Generation, deadline: float) -> Waiting:
        pause, left = self._pause_left(), deadline - self.clock.monotonic()
        if pause >= left:
            raise Unreachable(retry_after=pause)
        yield Sleep(pause) if pause else Refresh(stale, left)

    def _pause_left(self) -> float:
        return self.session.pause_left(self.clock.monotonic())

    # -- Renewal, sign-in, sign-out ------------------------------------------------------------

    def renew(self) -> Generator[Send, Response, None]:
        """Make one attempt to renew the session's tokens, and note what came of it.

        Raises:
            SessionExpired: if the server refused.
            SessionEnded: if the session was signed out or replaced meanwhile.
            Unreachable: if no answer came that could be used.
        """
        record = self.session.require()
        requested_at = self.clock.now()
        self.session.is_refreshing = True
        try:
            response = yield self._refresh_of(record)
        except Unreachable:
            self.session.note_failed_refresh(record.generation, self.clock.monotonic(), None)
            raise
        finally:
            self.session.is_refreshing = False
        self._take(record, self.options.dialect.read_refresh(response), requested_at)

    def _refresh_of(self, record: Record) -> Send:
        url = self.options.resolve(self.options.refresh_path)
        request = self.options.dialect.refresh_request(url, record.tokens.refresh_token)
        return Send(request, self.options.refresh_timeout)

    def _take(self, record: Record, response: Response, requested_at: float) -> None:
        self.session.record_for(record.generation)  # Of a session that is gone no answer counts.
        code = refusal(response)
        tokens = parse_token_response(
            response, requested_at=requested_at, received_at=self.clock.now()
        )
        if code is not None:
            self.session.refuse(record.generation, code)
            raise SessionExpired(code)
        if tokens is None:
            wait = parse_retry_after(response, self.clock.now())
            self.session.note_failed_refresh(record.generation, self.clock.monotonic(), wait)
            raise Unreachable(retry_after=wait)
        self.session.renew(record.generation, tokens)

    def sign_in(
        self, session: str, username: str, password: str
    ) -> Generator[Send, Response, None]:
        """Exchange a name and a password for a session.

        Args:
            session: a fresh name for the session on this device, which never leaves it.
            username: whose it is.
            password: theirs; sent once and kept nowhere.

        Raises:
            BadCredentials: if the server does not accept them.
            RateLimited: if there were too many tries.
            Unreachable: if no usable answer came.
            BadReply: for any other refusal.
        """
        requested_at = self.clock.now()
        url, dialect = self.options.resolve(self.options.login_path), self.options.dialect
        request = dialect.sign_in_request(url, username, password)
        reply = yield Send(request, self.options.refresh_timeout)
        response = dialect.read_sign_in(reply)
        tokens = parse_token_response(
            response, requested_at=requested_at, received_at=self.clock.now()
        )
        if tokens is None:
            raise sign_in_error(response, self.clock.now())
        self.session.sign_in(session, tokens)

    def sign_out(self) -> Generator[Send, Response, None]:
        """Forget the session at once, then try to tell the server; its silence changes nothing."""
        record, path = self.session.sign_out("here"), self.options.logout_path
        if record is None or record.tokens.refresh_token is None or not path:
            return
        request = self.options.dialect.sign_out_request(
            self.options.resolve(path), record.tokens.refresh_token
        )
        try:
            yield Send(request, self.options.refresh_timeout)
        except UnexpiredError:
            return

    # -- Staying ahead -------------------------------------------------------------------------

    def stay_ahead(self, *, tick: float, is_watched: Callable[[], bool]) -> Waiting:
        """Renew ahead of need for as long as somebody looks; never ends by itself.

        A refresh without an answer is tried again even when nobody looks: the server may have
        taken it, and takes the same token again only within its grace.

        Args:
            tick: the longest sleep, in seconds: timers stop while a machine sleeps, so each step
                looks at the clock anew.
            is_watched: whether the page is visible.
        """
        while True:
            is_called_for = is_watched() or self.session.failures > 0
            yield Sleep(min(self._idle_for(), tick) if is_called_for else tick)
            record, is_called_for = self.session.record, is_watched() or self.session.failures > 0
            if record is not None and is_called_for and not self._idle_for():
                yield from self._maintain(record)

    def _idle_for(self) -> float:
        """Return the seconds until something is to be done for the session."""
        record = self.session.record
        if record is None:
            return float("inf")
        if record.can_renew and self.session.failures:
            return self._pause_left()
        if self.session.has_warned:
            return max(self.session.ends_at - self.clock.monotonic(), 0.0)
        return max(record.due_at(self.options.margin) - self.clock.now(), 0.0)

    def _maintain(self, record: Record) -> Waiting:
        if record.can_renew:
            try:
                yield Refresh(record.generation, self.options.refresh_timeout)
            except UnexpiredError:  # It is noted in the session: paused, refused or gone.
                yield Sleep(SHORTEST_PAUSE)
        elif self.session.has_warned:
            self.session.expire(record.generation, record.refused or EXPIRED)
        else:
            self.session.warn(self.clock.now(), self.clock.monotonic())


def classify(response: Response, sent: Generation, current: Generation) -> Outcome:
    """Say what an answer means for a call sent with one generation while another is current."""
    if response.status_code not in {401, 403}:
        return Outcome.DONE
    if current.is_newer_than(sent):
        return Outcome.REPLAY
    if response.code == EXPIRED:
        return Outcome.REFRESH
    return Outcome.END if response.code in ENDINGS else Outcome.DONE


def _sent(request: Request) -> Flow:
    response: Response = yield Send(request)
    return response


def _bearing(request: Request, record: Record) -> Request:
    # RFC 6750, section 2.1: the header alone, never the query or the body.
    return request.with_header("authorization", f"Bearer {record.tokens.access_token}")
