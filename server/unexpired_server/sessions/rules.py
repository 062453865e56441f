"""The rules of a session, pure: no database, no clock, no randomness.

A session has one counter. Its refresh token is the counter's value under a MAC, so

    presented counter  ==  session's        Rotate: the counter steps on (Keep without rotation)
                       ==  session's - 1    Repeat within the grace after that step, else Reuse
                       <   session's - 1    Reuse: every honest client holds one of the last two
                       >   session's        Unknown: authentic, but the database is older than it

Revoked and expired sessions refuse before any of this. The successor of a token is a function of
the token: a repeated request, a second tab or a crash between commit and response all get the
same successor, and the database holds nothing that could be presented.

Reuse detection is RFC 9700, section 4.14.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto


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
    """

    id: str
    user_id: str
    counter: int
    created_at: float
    refreshed_at: float
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """How long sessions last, in seconds, and whether a refresh replaces the refresh token."""

    idle_ttl: float
    absolute_ttl: float
    grace: float
    rotation: bool = True


class Decision(Enum):
    """What happens to a presented refresh token."""

    ROTATE = auto()
    KEEP = auto()
    REPEAT = auto()
    REUSE = auto()
    EXPIRED = auto()
    REVOKED = auto()
    UNKNOWN = auto()


def decide(session: Session, counter: int, now: float, policy: SessionPolicy) -> Decision:
    """Decide on an authentic refresh token.

    Args:
        session: The token's session, as it is now.
        counter: The token's counter.
        now: Unix seconds.
        policy: The lifetimes.
    """
    if session.revoked_at is not None:
        return Decision.REVOKED
    if seconds_left(session, now, policy) <= 0:
        return Decision.EXPIRED
    if counter > session.counter:
        return Decision.UNKNOWN
    if counter == session.counter:
        return Decision.ROTATE if policy.rotation else Decision.KEEP
    just_used = counter == session.counter - 1
    within_grace = now < session.refreshed_at + policy.grace
    return Decision.REPEAT if just_used and within_grace else Decision.REUSE


def refreshed(session: Session, now: float, policy: SessionPolicy) -> Session:
    """Return the session after a refresh that was decided to be ROTATE or KEEP."""
    counter = session.counter + policy.rotation
    return replace(session, counter=counter, refreshed_at=now)


def seconds_left(session: Session, now: float, policy: SessionPolicy) -> float:
    """Return the seconds until the session is idle for too long or reaches its maximum age."""
    return ends_at(session, policy) - now


def ends_at(session: Session, policy: SessionPolicy) -> float:
    """Return when the session ends without another refresh, in Unix seconds."""
    return min(
        session.refreshed_at + policy.idle_ttl,
        session.created_at + policy.absolute_ttl,
    )
