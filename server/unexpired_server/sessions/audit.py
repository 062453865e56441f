"""What happened to sessions, for whoever has to find out later: rows, and lines in the log.

No event holds a token, a password, or what was typed as a username: people type passwords there.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from sqlalchemy import Insert, insert

from unexpired_server.settings import DAY
from unexpired_server.storage.schema import events

KEPT_SECONDS = 90 * DAY
"""How long events are kept in the database."""

logger: logging.Logger = logging.getLogger("unexpired.audit")


class Kind(StrEnum):
    """What happened."""

    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    REFRESH_REUSED = "refresh_reused"
    SESSION_REVOKED = "session_revoked"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        at: When, in Unix seconds.
        kind: What.
        user_id: To whom, when that is known.
        session_id: To which session, when there is one.
        address: From where it was asked for, when a client asked.
    """

    at: float
    kind: Kind
    user_id: str | None = None
    session_id: str | None = None
    address: str | None = None


def insert_events(happened: Sequence[Event]) -> Insert:
    """The statement that writes events down; to be executed with what they tell of."""
    return insert(events).values([asdict(event) for event in happened])


def log_events(happened: Sequence[Event]) -> None:
    """Write events, which are committed by now, to the log."""
    for event in happened:
        level = logging.INFO if event.kind is Kind.SIGN_IN else logging.WARNING
        details = {name: value for name, value in asdict(event).items() if value is not None}
        logger.log(level, "audit: %s", event.kind.value, extra=details)
