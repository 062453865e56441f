"""The rules of a session, pure: no database, no clock, no randomness.

A session has one counter. Its refresh token is the counter's value under a MAC. With a refresh
comes the client's ``attempt``: the id of this one refresh, which it keeps until the result is
stored, so that it can ask again for a response that it did not get.

A session may be bound to a key (RFC 9449). Then the key is asked for first: NO_PROOF and OTHER_KEY
refuse, say nothing of the session and change nothing, because a stolen token must not be able to
end the session either. All below is for a request that proves the key, or for an unbound session.

    presented counter  attempt                      decision
    > the session's    any                          ROLL_FORWARD: the *database* lost data
    = the session's    any                          ROTATE (KEEP without rotation)
    one behind         that step's own, or lost     REPEAT, however late
    one behind         another                      REPEAT for TAB_SECONDS, then REUSE
    one behind         none                         REPEAT for the grace, then REUSE
    further behind     that step's own, or lost     SUPERSEDED: a late duplicate, nothing is revoked
    further behind     another, forgotten, or none  REUSE: every honest client holds a later token

Revoked and expired sessions refuse before any of the table. The successor of a token is a function
of the token: a repeated request, a second tab or a crash between commit and response all get the
same successor, and the database holds nothing that could be presented. That includes attempts, of
which it has only hashes.

Reuse detection is RFC 9700, section 4.14.2.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from enum import Enum, auto

REMEMBERED_ATTEMPTS = 4
"""How many steps back an attempt is known."""

TAB_SECONDS = 10.0
"""How long after a step another attempt gets the same successor: two tabs that had no lock and did
not agree. Never longer than the grace."""

NO_ATTEMPT = "-"
"""Stored for a step whose client gave no attempt; no hash is this short."""

LOST = "?"
"""Stored for a step that the database lost. Nobody can know its attempt, so all are accepted."""


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in on one device, as the database has it. Times are Unix seconds.

    Attributes:
        id: 128 random bits in hexadecimal; the ``sid`` of its access tokens.
        user_id: The user who signed in.
        counter: How many times its refresh token was replaced.
        created_at: When the user signed in.
        refreshed_at: When it was last refreshed, or created. A repeat within the grace does
            not change it, so the grace cannot slide.
        revoked_at: When it was signed out or revoked, or None.
        attempts: The hashes of the last steps' attempts, oldest first, or NO_ATTEMPT or LOST in
            their place. Fewer than the counter in a session older than this rule.
        jkt: The thumbprint of the key that it is bound to (RFC 7638), or None. It never changes.
    """

    id: str
    user_id: str
    counter: int
    created_at: float
    refreshed_at: float
    revoked_at: float | None = None
    attempts: tuple[str, ...] = ()
    jkt: str | None = None


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """The rules that the settings decide; times are in seconds.

    Attributes:
        idle_ttl: How long a session lasts without a refresh.
        absolute_ttl: How long it lasts at most.
        grace: How long a token that was used up is still accepted.
        rotation: Whether a refresh replaces the token.
        sessions_per_user: How many live sessions a user may have.
        asks_for_proof: Whether a bound session's key is asked for. Without, it is as unbound, so
            that nobody is signed out by the setting, and as bound as before once it is asked for.
    """

    idle_ttl: float
    absolute_ttl: float
    grace: float
    rotation: bool = True
    sessions_per_user: int = 100
    asks_for_proof: bool = True


class Decision(Enum):
    """What happens to a presented refresh token."""

    ROTATE = auto()
    KEEP = auto()
    ROLL_FORWARD = auto()
    REPEAT = auto()
    SUPERSEDED = auto()
    REUSE = auto()
    EXPIRED = auto()
    REVOKED = auto()
    NO_PROOF = auto()
    OTHER_KEY = auto()


def hash_attempt(attempt: str | None) -> str:
    """Return what is stored of an attempt: 128 bits of its SHA-256, or NO_ATTEMPT."""
    if attempt is None:
        return NO_ATTEMPT
    return urlsafe_b64encode(hashlib.sha256(attempt.encode()).digest()[:16]).rstrip(b"=").decode()


def decide(  # noqa: PLR0913 - a decision is made of these
    session: Session,
    counter: int,
    attempt: str,
    now: float,
    policy: SessionPolicy,
    *,
    jkt: str | None = None,
) -> Decision:
    """Decide on an authentic refresh token.

    Args:
        session: The token's session, as it is now.
        counter: The token's counter.
        attempt: The hash of the request's attempt, or NO_ATTEMPT.
        now: Unix seconds.
        policy: The lifetimes.
        jkt: The thumbprint of the key that the request proves, or None.
    """
    if is_bound(session, policy) and jkt != session.jkt:
        return Decision.NO_PROOF if jkt is None else Decision.OTHER_KEY
    if session.revoked_at is not None:
        return Decision.REVOKED
    if seconds_left(session, now, policy) <= 0:
        return Decision.EXPIRED
    return _by_counter(session, counter, attempt, now, policy)


def _by_counter(
    session: Session, counter: int, attempt: str, now: float, policy: SessionPolicy
) -> Decision:
    """Decide by the table."""
    if counter > session.counter:
        return Decision.ROLL_FORWARD
    if counter == session.counter:
        return Decision.ROTATE if policy.rotation else Decision.KEEP
    is_own = _is_own(session, counter, attempt)
    if counter < session.counter - 1:
        # A client that finds itself superseded by nobody it knows says so by giving none.
        is_duplicate = is_own and attempt != NO_ATTEMPT
        return Decision.SUPERSEDED if is_duplicate else Decision.REUSE
    window = policy.grace if attempt == NO_ATTEMPT else min(TAB_SECONDS, policy.grace)
    return Decision.REPEAT if is_own or now < session.refreshed_at + window else Decision.REUSE


def is_bound(session: Session, policy: SessionPolicy) -> bool:
    """Return whether only the holder of the session's key may refresh it."""
    return policy.asks_for_proof and session.jkt is not None


def _is_own(session: Session, counter: int, attempt: str) -> bool:
    """Return whether the attempt is that of the step which used up this counter's token."""
    back = session.counter - counter
    if back > len(session.attempts):
        return False
    recorded = session.attempts[-back]
    return recorded == LOST or (recorded == attempt != NO_ATTEMPT)


def refreshed(
    session: Session, counter: int, attempt: str, now: float, policy: SessionPolicy
) -> Session:
    """Return the session after a refresh that was decided to be ROTATE, KEEP or ROLL_FORWARD.

    Args:
        session: The session before.
        counter: The presented token's counter, at least the session's.
        attempt: The hash of the request's attempt, or NO_ATTEMPT.
        now: Unix seconds.
        policy: The lifetimes.
    """
    lost = min(counter - session.counter, REMEMBERED_ATTEMPTS)
    steps = (*session.attempts, *[LOST] * lost, *([attempt] if policy.rotation else ()))
    return replace(
        session,
        counter=counter + policy.rotation,
        refreshed_at=now,
        attempts=steps[-REMEMBERED_ATTEMPTS:],
    )


def seconds_left(session: Session, now: float, policy: SessionPolicy) -> float:
    """Return the seconds until the session is idle for too long or reaches its maximum age."""
    return ends_at(session, policy) - now


def ends_at(session: Session, policy: SessionPolicy) -> float:
    """Return when the session ends without another refresh, in Unix seconds."""
    return min(
        session.refreshed_at + policy.idle_ttl,
        session.created_at + policy.absolute_ttl,
    )
