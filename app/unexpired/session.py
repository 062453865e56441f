"""The session: its record, its generation, its state. Nothing else changes them.

The rules, which every method below keeps:

* A record is written and read whole; a generation is one version of its tokens.
* A renewal counts only for the generation that it was asked for: if the session was signed out,
  replaced or renewed meanwhile, its result is dropped.
* A session that this page saw end never comes back, whatever is still in flight or written late
  by another tab.
* Only a refusal, an expiry without a way to renew, or a sign-out ends a session. No answer is no
  end.
* Each real change makes one event, which waits in ``events`` until the change is written down.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn

from unexpired.backoff import backoff
from unexpired.errors import NotSignedIn, SessionEnded, SessionExpired, UnexpiredError
from unexpired.token_response import ENDINGS, Tokens

State = Literal["anonymous", "active", "refreshing", "degraded", "expired"]
Event = tuple[str, tuple[object, ...]]

VERSION = 1


@dataclass(frozen=True, slots=True)
class Generation:
    """Which version of which session's tokens."""

    session: str
    number: int

    def is_newer_than(self, other: Generation) -> bool:
        """Whether this is a later version of the same session."""
        return self.session == other.session and self.number > other.number


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """What is kept of a session: the tokens, their times, the user.

    Attributes:
        generation: which version of the tokens these are.
        tokens: the tokens, with their times by this device's clock.
        refused: the code with which the server refused to renew them, or None.
    """

    generation: Generation
    tokens: Tokens
    refused: str | None = None

    @property
    def can_renew(self) -> bool:
        """Whether there is a refresh token that the server has not refused."""
        return self.tokens.refresh_token is not None and self.refused is None

    def has_expired(self, now: float) -> bool:
        """Whether the access token's time is over, as far as this device can tell."""
        return self.tokens.expires_at is not None and now >= self.tokens.expires_at

    def due_at(self, margin: float) -> float:
        """Return when to refresh, in Unix seconds: the margin before the token's end.

        The margin is at most a quarter of the life, or a token that lives for a minute would be
        due at birth.
        """
        if self.tokens.expires_at is None:
            return float("inf")
        return self.tokens.expires_at - min(margin, (self.tokens.lifetime or 0) / 4)

    def dumps(self) -> str:
        """Return the record as the one text that is stored."""
        tokens = self.tokens
        return json.dumps(
            {
                "version": VERSION,
                "session": self.generation.session,
                "generation": self.generation.number,
                "accessToken": tokens.access_token,
                "refreshToken": tokens.refresh_token,
                "expiresAt": tokens.expires_at,
                "lifetime": tokens.lifetime,
                "skew": tokens.skew,
                "user": tokens.user,
                "refused": self.refused,
            }
        )

    def __repr__(self) -> str:
        return f"<Record {self.generation.number} {self.tokens!r}>"


class UnknownRecord(ValueError):  # noqa: N818
    """A stored text that is no record of ours.

    Attributes:
        from_later_version: whether a later version of this library wrote it; then it is left alone.
    """

    def __init__(self, *, from_later_version: bool = False) -> None:
        super().__init__("not a record of a session")
        self.from_later_version = from_later_version


def loads(text: str) -> Record:
    """Read a stored record.

    Raises:
        UnknownRecord: if it is garbage, or of a version that this one does not know.
    """
    try:
        value = json.loads(text)
        return _record(value) if value["version"] == VERSION else _unknown(value["version"])
    except UnknownRecord:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UnknownRecord from None


def _unknown(version: object) -> NoReturn:
    raise UnknownRecord(from_later_version=isinstance(version, int) and version > VERSION)


def _record(value: Mapping[str, Any]) -> Record:
    tokens = Tokens(
        access_token=_of(str, value["accessToken"]),
        refresh_token=_of(str | None, value["refreshToken"]),
        expires_at=_of(float | int | None, value["expiresAt"]),
        lifetime=_of(float | int | None, value["lifetime"]),
        skew=_of(float | int, value["skew"]),
        user=_of(dict | None, value["user"]),
    )
    generation = Generation(_of(str, value["session"]), _of(int, value["generation"]))
    return Record(generation, tokens, _of(str | None, value["refused"]))


def _of(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise UnknownRecord
    return value


class Session:
    """The one session of a page (or a process) and its state machine.

    Args:
        jitter: returns a random number from 0 to 1, for the jitter of the back-off.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self.record: Record | None = None
        self.events: list[Event] = []
        self.is_refreshing = False
        self.failures = 0
        self.ends_at = float("inf")  # when what was warned of ends, on the monotonic clock
        self._jitter = jitter
        self._resume_at = 0.0  # when a refresh may be tried again, by our own back-off
        self._allowed_at = 0.0  # … and by the server's Retry-After, which nothing shortens
        self._gone: set[str] = set()  # sessions that this page saw end
        self._over: str | None = None  # the code of the last end by expiry
        self._warned: Generation | None = None

    @property
    def state(self) -> State:
        """One word for people and pages."""
        if self.record is None:
            return "expired" if self._over else "anonymous"
        if self.failures:
            return "degraded"
        return "refreshing" if self.is_refreshing else "active"

    # -- What a call may count on ------------------------------------------------------------

    def require(self) -> Record:
        """Return the record.

        Raises:
            NotSignedIn: if nobody is signed in.
            SessionExpired: if the session that was here is over, or
            SessionEnded: if the server ended it.
        """
        if self.record is not None:
            return self.record
        raise end_error(self._over) if self._over else NotSignedIn()

    def record_for(self, generation: Generation) -> Record:
        """Return the record if it is of the same session as the generation.

        Raises:
            SessionExpired: if that session is over.
            SessionEnded: if it was ended or signed out, or someone else signed in.
        """
        if self.record is not None and self.record.generation.session == generation.session:
            return self.record
        if self.record is None and self._over:
            raise end_error(self._over)
        raise SessionEnded("SIGNED_OUT")

    def was_replaced(self, generation: Generation) -> bool:
        """Whether the session of the generation was signed out, or someone else is signed in."""
        if self.record is None:
            return self._over is None
        return self.record.generation.session != generation.session

    def is_stale(self, generation: Generation) -> bool:
        """Whether the generation is no longer the newest: renewed, signed out or replaced."""
        return self.record is None or self.record.generation != generation

    @property
    def has_warned(self) -> bool:
        """Whether the end of this generation was announced."""
        return self.record is not None and self._warned == self.record.generation

    def pause_left(self, now: float) -> float:
        """Return the seconds for which no refresh may be tried; ``now`` is monotonic."""
        return max(self._resume_at, self._allowed_at, now) - now

    def retry_after_left(self, now: float) -> float:
        """Return the seconds for which the server asked for no refresh; ``now`` is monotonic."""
        return max(self._allowed_at - now, 0.0)

    # -- What happens to it ------------------------------------------------------------------

    def sign_in(self, session: str, tokens: Tokens) -> None:
        """Start a new session: somebody signed in here."""
        self._replace(Record(Generation(session, 1), tokens))
        self.events.append(("signed_in", ()))

    def renew(self, stale: Generation, tokens: Tokens) -> bool:
        """Take new tokens for the generation they were asked for; return whether they counted."""
        if self.record is None or self.record.generation != stale:
            return False
        known = self.record.tokens
        merged = replace(
            tokens,
            refresh_token=tokens.refresh_token or known.refresh_token,
            user=tokens.user or known.user,
        )
        self._advance(Record(Generation(stale.session, stale.number + 1), merged))
        return True

    def adopt(self, record: Record | None, now: float) -> None:
        """Take over what another tab stored, unless it is older than what is known here."""
        mine = self.record
        if record is None:
            self._lose(now)
        elif record.generation.session in self._gone:
            return  # Written late by a tab that had not heard of the end.
        elif mine is None or mine.generation.session != record.generation.session:
            self._replace(record)
            self.events.append(("signed_in", ()))
        elif record.generation.is_newer_than(mine.generation):
            self._advance(record)
        elif record.generation == mine.generation:
            self.record = record  # Another tab heard a refusal, or a person has had a hand in it.

    def restore(self, record: Record) -> None:
        """Start from what was stored before this page was opened: no news, so no event."""
        self._replace(record)

    def refuse(self, stale: Generation, code: str) -> None:
        """Note that the server will not renew this generation; its access token may be good."""
        if self.record is not None and self.record.generation == stale:
            self.record = replace(self.record, refused=code)
            self._recover()

    def note_failed_refresh(self, stale: Generation, now: float, retry_after: float | None) -> None:
        """Note that a refresh got no answer: pause, and say so once; ``now`` is monotonic."""
        if self.is_stale(stale):
            return
        self.failures += 1
        self._resume_at = now + backoff(self.failures, self._jitter())
        self._allowed_at = max(self._allowed_at, now + (retry_after or 0))
        if self.failures == 1:
            self.events.append(("degraded", ()))

    def resume(self) -> None:
        """Lift our own pause: the network is back, or a person looks at the page again."""
        self._resume_at = 0.0

    def warn(self, now: float, ticks: float) -> None:
        """Say once per generation that it ends soon and cannot be renewed.

        From here its end is counted by the monotonic clock: the device's own may leap, and a leap
        must not end a session. What has ended before it was looked at is left to the server.

        Args:
            now: the device's time, in Unix seconds.
            ticks: the monotonic time, in seconds.
        """
        if self.record is None or self.record.tokens.expires_at is None or self.has_warned:
            return
        left = self.record.tokens.expires_at - now
        self._warned = self.record.generation
        self.ends_at = ticks + left if left > 0 else float("inf")
        self.events.append(("expiring", (max(left, 0.0),)))

    def expire(self, generation: Generation, code: str) -> UnexpiredError:
        """End the session of this generation, once; return the error for whoever waits for it."""
        if self.record is not None and self.record.generation.session == generation.session:
            self._forget()
            self._over = code
            self.events.append(("expired", (code,)))
        return end_error(code)

    def sign_out(self, where: str) -> Record | None:
        """Sign out, here or elsewhere; return what there was."""
        record = self.record
        self._over = None
        if record is not None:
            self._forget()
            self.events.append(("signed_out", (where,)))
        return record

    # -- How ---------------------------------------------------------------------------------

    def _lose(self, now: float) -> None:
        """Another tab removed the record: because it was over, or because somebody signed out."""
        record = self.record
        if record is not None and record.has_expired(now) and not record.can_renew:
            self.expire(record.generation, record.refused or "TOKEN_EXPIRED")
        elif record is not None:
            self.sign_out("elsewhere")

    def _replace(self, record: Record) -> None:
        if self.record is not None:
            self._gone.add(self.record.generation.session)
        self.record, self._over, self.failures = record, None, 0
        self._resume_at = self._allowed_at = 0.0

    def _advance(self, record: Record) -> None:
        self.record = record
        self._resume_at = self._allowed_at = 0.0
        self.events.append(("refreshed", ()))
        self._recover()

    def _recover(self) -> None:
        if self.failures:
            self.failures = 0
            self.events.append(("recovered", ()))

    def _forget(self) -> None:
        if self.record is not None:
            self._gone.add(self.record.generation.session)
        self.record, self.failures, self.is_refreshing = None, 0, False


def end_error(code: str) -> UnexpiredError:
    """Return the error for a session that is over with this code: ended by someone, or expired."""
    return SessionEnded(code) if code in ENDINGS else SessionExpired(code)
