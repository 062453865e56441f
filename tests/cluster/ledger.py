"""What the clients hold and what has happened to it: sessions, outcomes, losses."""

from __future__ import annotations

import base64
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any

QUIET_SECONDS = 2.0
"""After so long without a failure the cluster has recovered."""

SESSION_ID = slice(8, 24)
COUNTER = slice(24, 32)


class Outcome(StrEnum):
    """What became of a request."""

    OK = "ok"
    UNAVAILABLE = "503"
    GATEWAY = "502, 504"
    BROKEN = "reset, time-out"
    LIMITED = "429"
    OTHER = "other"


def session_of(refresh_token: str) -> tuple[str, int]:
    """Return the session's id and the counter that a refresh token carries in the open."""
    raw = base64.urlsafe_b64decode(refresh_token.removeprefix("rt1.") + "==")
    return raw[SESSION_ID].hex(), int.from_bytes(raw[COUNTER], "big")


@dataclass(eq=False)
class HeldSession:
    """A session as its client keeps it: the newest acknowledged tokens, and the open attempt.

    Attributes:
        expires_at: When the access token expires, in monotonic seconds.
        attempt: The id of the refresh whose result is not stored yet.
        may_have_ended: Whether a request that ends it was sent; then a refusal is just.
        has_ended: Whether the end was acknowledged; then a token that works is a fault.
    """

    username: str
    access: str
    refresh: str
    expires_at: float
    attempt: str | None = None
    may_have_ended: bool = False
    has_ended: bool = False

    @classmethod
    def from_response(cls, username: str, body: Mapping[str, Any]) -> HeldSession:
        """Return the session that a sign-in has opened."""
        expires_at = time.monotonic() + body["expiresIn"]
        return cls(username, body["accessToken"], body["refreshToken"], expires_at)

    @property
    def id(self) -> str:
        """The session's id."""
        return session_of(self.refresh)[0]

    def begin_attempt(self) -> str:
        """Return the id of the refresh that is to be sent: the open one, or else a new one."""
        self.attempt = self.attempt or secrets.token_urlsafe(16)
        return self.attempt

    def store(self, body: Mapping[str, Any]) -> None:
        """Keep the tokens of a refresh, unless newer ones are there already."""
        if session_of(body["refreshToken"])[1] > session_of(self.refresh)[1]:
            self.access, self.refresh = body["accessToken"], body["refreshToken"]
            self.expires_at = time.monotonic() + body["expiresIn"]
            self.attempt = None


@dataclass(frozen=True)
class Loss:
    """A session that an honest client lost although nobody had ended it."""

    session: HeldSession
    reason: str


@dataclass(frozen=True)
class Survivor:
    """A token that was accepted after its end."""

    session: HeldSession
    what: str


@dataclass
class Ledger:
    """Everything that is counted for one row.

    Attributes:
        held: The sessions that were ever acknowledged to a client.
        writes: When the database took something new, in monotonic seconds; an access token is
            verified without it.
        unused: Tokens that a node accepted after their end while the proxy sent it no requests.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    held: dict[str, HeldSession] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    survivors: list[Survivor] = field(default_factory=list)
    unused: list[Survivor] = field(default_factory=list)
    successes: list[float] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)
    _missing: set[str] = field(default_factory=set)
    _revived: set[str] = field(default_factory=set)

    def note(self, outcome: Outcome, what: str = "") -> None:
        """Count one request's outcome."""
        self.outcomes[outcome] += 1
        times = self.successes if outcome is Outcome.OK else self.failures
        times.append(time.monotonic())
        if outcome in {Outcome.OTHER, Outcome.BROKEN}:
            self.others[what] += 1

    def wrote(self) -> None:
        """Note that the database has just taken something new."""
        self.writes.append(time.monotonic())

    def hold(self, session: HeldSession) -> HeldSession:
        """Remember a session that was acknowledged."""
        self.held[session.id] = session
        return session

    def lose(self, session: HeldSession, reason: str) -> None:
        """Note that a live session was refused."""
        self.losses.append(Loss(session, reason))

    def snapshot(self) -> dict[str, bool]:
        """Return the ids of the acknowledged sessions, and whether the end of each was too."""
        return {session.id: session.has_ended for session in self.held.values()}

    def compare(self, known: Mapping[str, bool], stored: Mapping[str, bool]) -> None:
        """Note what a database that took over lacks: no server can know it any more.

        Args:
            known: What was acknowledged before it took over.
            stored: The ids of its sessions, and whether each is revoked.
        """
        for session_id, has_ended in known.items():
            if session_id not in stored:
                self._missing.add(session_id)
            if has_ended and not stored.get(session_id, False):
                self._revived.add(session_id)

    @property
    def lost(self) -> list[Loss]:
        """The sessions that were unjustly lost."""
        return [loss for loss in self.losses if loss.session.id not in self._missing]

    @property
    def alive(self) -> list[Survivor]:
        """The tokens that outlived their end."""
        return [one for one in self.survivors if not self._is_gone(one.session)]

    @property
    def unreachable(self) -> list[Survivor]:
        """The tokens that outlived their end on a node to which no client was led."""
        return [one for one in self.unused if not self._is_gone(one.session)]

    def _is_gone(self, session: HeldSession) -> bool:
        return session.id in self._revived | self._missing

    @property
    def gone(self) -> tuple[int, int]:
        """How many sign-ins and how many sign-outs are in no surviving database."""
        return len(self._missing), len(self._revived)

    def recovery(self, since: float) -> float | None:
        """Return the seconds from a time until there were no failures; None for not at all."""
        later = [at for at in self.failures if at >= since]
        if not any(at >= since for at in self.successes):
            return None
        times = [since, *later]
        ends = [*later, max(self.successes)]
        for at, following in zip(times, ends, strict=True):
            if following - at >= QUIET_SECONDS:
                return at - since
        return None

    def longest_gap(self) -> float:
        """Return the longest time in which the database took nothing new, in seconds."""
        last = max((*self.successes, *self.failures), default=0.0)
        pairs = pairwise([*self.writes, max(last, *self.writes)] if self.writes else [])
        return max((later - earlier for earlier, later in pairs), default=0.0)
