"""The rules of a session, pure: no database, no clock, no randomness.

A session has one counter. Its refresh token is the counter's value, sealed with a MAC, so

    presented counter  ==  session's        Rotate: the counter steps on (Keep without rotation)
                       ==  session's - 1    Repeat within the grace after that step, else Reuse
                       <   session's - 1    Reuse: every honest client holds one of the last two
                       >   session's        Unknown: genuine, but the database is older than it

and revoked or expired sessions refuse before any of this. The successor of a token is a function
of the token: a repeated request, a second tab or a crash between commit and reply all get
the same one, and the database holds nothing that could be presented.

Reuse detection is RFC 9700, section 4.14.2.
"""

import hmac
from dataclasses import dataclass, replace
from enum import Enum, auto

from unexpired_server.tokens import base64url
from unexpired_server.tokens.key_file import KEY_ID_BYTES
from unexpired_server.tokens.keys import Key, KeyRing

PREFIX = "rt1."
SESSION_ID_BYTES = 16
COUNTER_BYTES = 8
MAC_BYTES = 32


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in on one device, as the database has it. Times are Unix seconds.

    Attributes:
        id: 128 random bits in hexadecimal; the `sid` of its access tokens.
        user_id: Whose session it is.
        counter: How many times its refresh token was replaced.
        created_at: When the person signed in.
        refreshed_at: When it was last refreshed, or created. A repeat within the grace does
            not move it, so the grace cannot slide.
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
    """How long sessions last, in seconds, and whether refresh tokens are replaced."""

    idle_ttl: float
    absolute_ttl: float
    grace: float
    rotation: bool = True


class Decision(Enum):
    """What becomes of a presented refresh token."""

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
    """The session after a refresh that was decided to be ROTATE or KEEP."""
    counter = session.counter + policy.rotation
    return replace(session, counter=counter, refreshed_at=now)


def seconds_left(session: Session, now: float, policy: SessionPolicy) -> float:
    """How long the session still lives: until it is idle for too long, or simply too old."""
    return ends_at(session, policy) - now


def ends_at(session: Session, policy: SessionPolicy) -> float:
    """When the session ends if nothing more happens, in Unix seconds."""
    return min(
        session.refreshed_at + policy.idle_ttl,
        session.created_at + policy.absolute_ttl,
    )


@dataclass(frozen=True, slots=True)
class RefreshTokenClaims:
    """What an authentic refresh token says."""

    session_id: str
    counter: int


class RefreshTokens:
    """Writes refresh tokens, and reads back only those that it wrote.

    A token is `rt1.` and base64url of key id, session id, counter and a MAC over the three: it
    is authentic or refused before any database work.

    Args:
        ring: The signing keys. The MAC's key is derived from them for this purpose only, so
            that neither kind of token can be made from the other.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def write(self, session: Session) -> str:
        """The refresh token for a session as it is now."""
        key = self._ring.active
        body = (
            bytes.fromhex(key.kid)
            + bytes.fromhex(session.id)
            + session.counter.to_bytes(COUNTER_BYTES, "big")
        )
        return PREFIX + base64url.encode(body + _mac(key, body))

    def read(self, token: str) -> RefreshTokenClaims | None:
        """What a token says, or None when it is not one of ours, for whatever reason."""
        raw = _unwrap(token)
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        key = self._ring.keys.get(body[:KEY_ID_BYTES].hex())
        if key is None or not hmac.compare_digest(mac, _mac(key, body)):
            return None
        session_id = body[KEY_ID_BYTES:-COUNTER_BYTES]
        return RefreshTokenClaims(session_id.hex(), int.from_bytes(body[-COUNTER_BYTES:], "big"))


def _unwrap(token: str) -> bytes:
    if not token.startswith(PREFIX) or len(token) > _LENGTH:
        return b""
    try:
        raw = base64url.decode(token.removeprefix(PREFIX))
    except ValueError:
        return b""
    return raw if len(raw) == _RAW_LENGTH else b""


def _mac(key: Key, body: bytes) -> bytes:
    return hmac.digest(key.derive("refresh token v1"), PREFIX.encode() + body, "sha256")


_RAW_LENGTH = KEY_ID_BYTES + SESSION_ID_BYTES + COUNTER_BYTES + MAC_BYTES
_LENGTH = len(PREFIX) + len(base64url.encode(bytes(_RAW_LENGTH)))
