"""The session of a client and its state machine. Nothing else changes the record.

Every method keeps these rules:

* A record is replaced completely; a generation is one version of its tokens.
* A refresh counts only for the generation it was made for. If the session was signed out, replaced
  or refreshed in the meantime, its result is dropped.
* A session that this page has seen end never comes back, even if another tab stores it later or a
  request is still in flight.
* Only a refusal, an expiry without a way to refresh, or a sign-out ends a session. An outage never
  signs anyone out.
* Each real change adds one event, which waits in ``events`` until the change is stored.
* Who ends a session forgets its key, which waits in ``dropped_keys`` until the change is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from unexpired.backoff import MIN_PACE, backoff, next_pace
from unexpired.errors import NotSignedIn, SessionEnded, SessionExpired, UnexpiredError
from unexpired.messages import Request
from unexpired.proofs import KEY_LOST
from unexpired.session_record import Generation, Record
from unexpired.token_response import ENDINGS, Tokens, user_after_refresh

State = Literal["anonymous", "active", "refreshing", "degraded", "expired"]
Unbound = Literal["no_key", "refused", "cors", "not_bound"]
Event = tuple[str, tuple[object, ...]]

MAX_OFFERED_KEYS = 4
"""How many sign-ins of the application's own may be under way, or never be adopted."""


class Session:
    """The one session of a page or a program.

    Args:
        jitter: Returns a random number from 0 to 1, for the back-off.
        new_attempt: Returns a new id for a refresh: 128 random bits or more, in base64url.
    """

    def __init__(self, jitter: Callable[[], float], new_attempt: Callable[[], str]) -> None:
        self.record: Record | None = None
        self.events: list[Event] = []
        self.is_refreshing: bool = False
        self.failures: int = 0
        self.unreported: list[Record] = []  # ended here, and the server does not know it yet
        self.dropped_keys: list[str] = []  # of sessions that are over, and not forgotten yet
        # Why the last sign-in bound its session to no key.
        self.unbound_because: Unbound | None = None
        self._offered_keys: list[tuple[Request, str]] = []  # proved, and not adopted yet
        self.ends_at: float = float("inf")  # when the announced end comes, in monotonic seconds
        self._jitter = jitter
        self._new_attempt = new_attempt
        self._backoff_until = 0.0  # in monotonic seconds
        self._refreshed_at = float("-inf")  # in monotonic seconds
        self._pace = MIN_PACE
        self._retry_after_until = 0.0  # the same by the server's Retry-After: nothing shortens it
        self.last_user: Mapping[str, Any] | None = None  # of a session that expired or was replaced
        self._ended_sessions: set[str] = set()
        self._end_code: str | None = None  # of the last session, if it expired or was ended
        self.is_end_quiet: bool = False  # it ended, and nobody was redirected
        self._warned: Generation | None = None
        self._came_at = 0.0  # when this page got the tokens, in monotonic seconds

    @property
    def state(self) -> State:
        """The state of the session in one word."""
        if self.record is None:
            return "expired" if self._end_code else "anonymous"
        if self.failures:
            return "degraded"
        return "refreshing" if self.is_refreshing else "active"

    # -- What a request may rely on ------------------------------------------------------------

    def require(self) -> Record:
        """Return the record.

        Raises:
            NotSignedIn: If nobody is signed in.
            SessionExpired: If the session has expired.
            SessionEnded: If the server ended it.
        """
        if self.record is not None:
            return self.record
        raise end_error(self._end_code) if self._end_code else NotSignedIn()

    def record_for(self, generation: Generation) -> Record:
        """Return the current record; raise if this session was ended or replaced.

        Raises:
            SessionExpired: If the session has expired.
            SessionEnded: If it was ended or signed out, or someone else signed in.
        """
        if self.record is not None and self.record.generation.session == generation.session:
            return self.record
        if self.record is None and self._end_code:
            raise end_error(self._end_code)
        raise SessionEnded("SIGNED_OUT")

    def was_replaced(self, generation: Generation) -> bool:
        """Return whether this session was signed out, or someone else is signed in."""
        if self.record is None:
            return self._end_code is None
        return self.record.generation.session != generation.session

    def is_stale(self, generation: Generation) -> bool:
        """Return whether the generation was refreshed, signed out or replaced."""
        return self.record is None or self.record.generation != generation

    @property
    def has_warned(self) -> bool:
        """Whether the end of this generation was announced."""
        return self.record is not None and self._warned == self.record.generation

    def pause_left(self, now: float) -> float:
        """Return the seconds until a refresh may be tried; ``now`` is monotonic."""
        paced_until = self._refreshed_at + self._pace
        return max(self._backoff_until, self._retry_after_until, paced_until, now) - now

    def retry_after_left(self, now: float) -> float:
        """Return the seconds for which the server asked to wait; ``now`` is monotonic."""
        return max(self._retry_after_until - now, 0.0)

    # -- Transitions ---------------------------------------------------------------------------

    def sign_in(self, session: str, tokens: Tokens, now: float, key: str | None = None) -> None:
        """Start a new session; one that it replaces is over.

        Args:
            session: A new name for it.
            tokens: Its tokens.
            now: The monotonic time, in seconds.
            key: The key that its sign-in has proved; the server may not bind the session to it.
        """
        # A session without its key may be a stolen copy, whose owner must not be signed out by it.
        if self.record is not None and self.record.refused != KEY_LOST:
            self.unreported.append(self.record)
        if key is not None:
            self.unbound_because = None if tokens.is_bound else "not_bound"
        key = key if tokens.is_bound else None
        self._replace(Record(Generation(session, 1), tokens if key else tokens.unbound(), key=key))
        self._came_at = now
        self.events.append(("signed_in", ()))

    def begin_attempt(self) -> Record:
        """Return the record with the id of a refresh that begins now.

        A record that has one keeps it: the result of that refresh never arrived, or another tab
        is waiting for it. The server gives one attempt the same result, however often it asks.
        After a refusal there is none.

        Raises:
            NotSignedIn: If nobody is signed in.
            SessionExpired: If the session has expired.
            SessionEnded: If the server ended it.
        """
        record = self.require()
        if record.attempt is None and record.refused is None:
            record = self.record = replace(record, attempt=self._new_attempt())
        return record

    def renew(self, stale: Generation, tokens: Tokens, now: float) -> bool:
        """Store the tokens of a refresh; return False if its generation is no longer current.

        Args:
            stale: The generation that was refreshed.
            tokens: Its successors.
            now: The monotonic time, in seconds.
        """
        if self.record is None or self.record.generation != stale:
            return False
        known = self.record.tokens
        merged = replace(
            tokens,
            refresh_token=tokens.refresh_token or known.refresh_token,
            in_cookie=known.in_cookie,
            id_token=tokens.id_token or known.id_token,
            user=user_after_refresh(tokens, known),
        )
        self._pace = next_pace(self._pace, now - self._refreshed_at, known.lifetime)
        self._refreshed_at = now
        self._came_at = now
        key = self.record.key
        merged = _bound_as_before(merged, known) if key else merged.unbound()
        self._advance(Record(Generation(stale.session, stale.number + 1), merged, key=key))
        return True

    def adopt(self, record: Record | None, now: float, monotonic: float) -> None:
        """Take over what another tab stored, unless it is older than the record here.

        Args:
            record: What is stored now; None if it was removed.
            now: The device's time, in Unix seconds.
            monotonic: The monotonic time, in seconds.
        """
        mine = self.record
        if record is None:
            self._adopt_removal(now)
        elif record.generation.session in self._ended_sessions:
            return  # Stored late, by a tab that did not know of the end.
        elif mine is None or mine.generation.session != record.generation.session:
            self._replace(record)
            self.unbound_because = None  # Its sign-in was another tab's.
            self._came_at = monotonic
            self.events.append(("signed_in", ()))
        elif record.generation.is_newer_than(mine.generation):
            self._came_at = monotonic
            self._advance(record)
        elif record.generation == mine.generation:
            self.record = record  # Another tab stored a refusal, or it was edited in devtools.

    def restore(self, record: Record, now: float) -> None:
        """Continue a session that was stored before this page opened; it makes no event.

        Args:
            record: The stored record.
            now: The monotonic time, in seconds.
        """
        self._replace(record)
        self._came_at = now

    def drop_attempt(self, stale: Generation) -> None:
        """Let the next refresh be a new one: the server has seen this one too late."""
        if self.record is not None and self.record.generation == stale:
            self.record = replace(self.record, attempt=None)

    def refuse(self, stale: Generation, code: str) -> None:
        """Note that the server refused to refresh; the access token stays valid until its end."""
        if self.record is not None and self.record.generation == stale:
            self.record = replace(self.record, refused=code, attempt=None)
            self._recover()

    def lose_key(self, stale: Generation) -> None:
        """Note that the session's key is gone; the access token stays valid until its end.

        The attempt is kept: another tab may have opened the key, and be refreshing by it.
        """
        if self.record is not None and self.record.generation == stale:
            self.record = replace(self.record, refused=KEY_LOST)
            self._recover()

    def note_failed_refresh(self, stale: Generation, now: float, retry_after: float | None) -> None:
        """Note a refresh without a response, and start the back-off; ``now`` is monotonic."""
        if self.is_stale(stale):
            return
        self.failures += 1
        self._backoff_until = now + backoff(self.failures, self._jitter())
        self._retry_after_until = max(self._retry_after_until, now + (retry_after or 0))
        if self.failures == 1:
            self.events.append(("degraded", ()))

    def resume(self) -> None:
        """End the back-off: the network is back, or the page is visible again."""
        self._backoff_until = 0.0

    def warn(self, now: float, monotonic: float) -> None:
        """Announce once that this generation ends soon and cannot be refreshed.

        From here its end is measured by the monotonic clock: the device's clock may jump, which
        must not end a session. The end may be past already: a refresh was refused that late.

        Args:
            now: The device's time, in Unix seconds.
            monotonic: The monotonic time, in seconds.
        """
        if self.record is None or self.record.tokens.expires_at is None or self.has_warned:
            return
        left = self.record.tokens.expires_at - now
        self._warned = self.record.generation
        self.ends_at = monotonic + self._left(self.record, now, monotonic)
        self.events.append(("expiring", (max(left, 0.0),)))

    def postpone_end(self, now: float, monotonic: float) -> bool:
        """Return whether the announced end is not there yet: the device's clock was set back."""
        left = self._left(self.require(), now, monotonic)
        self.ends_at = monotonic + left
        return left > 0

    def _left(self, record: Record, now: float, monotonic: float) -> float:
        """Return the seconds that a token can still live, by the clock that gives it longer.

        From when it came to this page, or was loaded with it, a token lives at most for its
        lifetime, whatever the device's clock says. The server may end it sooner.
        """
        expires_at, lifetime = record.tokens.expires_at, record.tokens.lifetime
        if expires_at is None or lifetime is None:
            return float("inf")
        return max(expires_at - now, self._came_at + lifetime - monotonic)

    def expire(self, generation: Generation, code: str) -> UnexpiredError:
        """End the session of this generation, once; return the error to raise for it."""
        if self.record is not None and self.record.generation.session == generation.session:
            self._forget()
            self._end_code = code
            self.is_end_quiet = False
            self.events.append(("expired", (code,)))
        return end_error(code)

    def keep_end_quiet(self) -> None:
        """Let an end whose event is not emitted yet redirect nobody: no request needed it."""
        if any(name == "expired" for name, _ in self.events):
            self.is_end_quiet = True

    def sign_out(self, where: str) -> Record | None:
        """Sign out, ``here`` or ``elsewhere``; return the record that was removed."""
        record = self.record
        self._end_code = None
        if record is not None:
            self._forget()
            self.last_user = None
            self.events.append(("signed_out", (where,)))
            if where == "here":
                self.unreported.append(record)
        return record

    # -- Keys ----------------------------------------------------------------------------------

    def offer_key(self, request: Request, key: str) -> None:
        """Keep the key that an application's own sign-in has proved, until it is adopted."""
        self._offered_keys.append((request, key))
        while len(self._offered_keys) > MAX_OFFERED_KEYS:
            self.drop_key(self._offered_keys.pop(0)[1])

    def take_key(self, request: Request | None) -> str | None:
        """Return the key that a sign-in has proved, or None.

        Args:
            request: The request of the sign-in; None: the last one that proved a key.
        """
        for offered in reversed(self._offered_keys):
            if request is None or offered[0] is request:
                self._offered_keys.remove(offered)
                return offered[1]
        return None

    def drop_key(self, key: str | None) -> None:
        """Let a key be forgotten, unless the session is bound to it."""
        if key is not None and (self.record is None or self.record.key != key):
            self.dropped_keys.append(key)

    # -- Steps of a transition -----------------------------------------------------------------

    def _adopt_removal(self, now: float) -> None:
        """Follow another tab that removed the record: it had expired, or the person signed out."""
        record = self.record
        if record is None:
            return
        if record.has_expired(now) and not record.can_renew:
            self.expire(record.generation, record.refused or "TOKEN_EXPIRED")
        else:
            self.sign_out("elsewhere")
        # Who ended it forgets the key. A later version that goes on with the session needs it.
        self.dropped_keys = [key for key in self.dropped_keys if key != record.key]

    def _set(self, record: Record | None) -> None:
        """Replace the record; the key of the one before goes with it."""
        before, self.record = self.record, record
        if before is not None:
            self.last_user = before.tokens.user
            self.drop_key(before.key)

    def _replace(self, record: Record) -> None:
        if self.record is not None:
            self._ended_sessions.add(self.record.generation.session)
        self._set(record)
        self._end_code, self.failures = None, 0
        self.is_end_quiet = False
        self._backoff_until = self._retry_after_until = 0.0
        self._refreshed_at, self._pace = float("-inf"), MIN_PACE

    def _advance(self, record: Record) -> None:
        self._set(record)
        self._backoff_until = self._retry_after_until = 0.0
        self.events.append(("refreshed", ()))
        self._recover()

    def _recover(self) -> None:
        if self.failures:
            self.failures = 0
            self.events.append(("recovered", ()))

    def _forget(self) -> None:
        if self.record is not None:
            self._ended_sessions.add(self.record.generation.session)
        self._set(None)
        self.failures, self.is_refreshing = 0, False


def _bound_as_before(tokens: Tokens, known: Tokens) -> Tokens:
    """Return the new tokens of a session with a key, which it keeps for its life.

    A server with ``DPOP=off`` says nothing of the key, and wants it again when that is set back.
    """
    return replace(tokens, is_bound=True, nonce=tokens.nonce or known.nonce)


def end_error(code: str) -> UnexpiredError:
    """Return the error for a session with this end code: ended by the server, or expired."""
    return SessionEnded(code) if code in ENDINGS else SessionExpired(code)
