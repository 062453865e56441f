"""Audit events of sessions: rows in the database, and lines in the log.

No event contains a token, a password or a username as typed: people type passwords there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from sqlalchemy import Insert, insert

from unexpired_server.settings import DAY
from unexpired_server.storage.schema import events

RETENTION = 90 * DAY
"""How long events stay in the database, in seconds."""

logger: logging.Logger = logging.getLogger("unexpired.audit")


class Kind(StrEnum):
    """The kind of an event."""

    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    REFRESH_REUSED = "refresh_reused"
    REFRESH_ROLLED_FORWARD = "refresh_rolled_forward"
    SESSION_REVOKED = "session_revoked"


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        at: When, in Unix seconds.
        kind: What happened.
        user_id: The user, where known.
        session_id: The session, where there is one.
        address: The client's address, where a client caused it.
    """

    at: float
    kind: Kind
    user_id: str | None = None
    session_id: str | None = None
    address: str | None = None


def insert_events(happened: Sequence[Event]) -> Insert:
    """Return a statement that stores events, for the transaction that they describe."""
    return insert(events).values([asdict(event) for event in happened])


def log_events(happened: Sequence[Event]) -> None:
    """Log events that are committed."""
    for event in happened:
        level = logging.INFO if event.kind is Kind.SIGN_IN else logging.WARNING
        details = {name: value for name, value in asdict(event).items() if value is not None}
        logger.log(level, "audit: %s", event.kind.value, extra=details)
