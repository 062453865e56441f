"""Audit events of sessions: rows in the database, and lines in the log.

No event contains a token, a password or a username as typed: people type passwords there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import insert

from unexpired_server.settings import DAY
from unexpired_server.storage.schema import events

if TYPE_CHECKING:  # See ``storage.engines``.
    from sqlalchemy.ext.asyncio import AsyncConnection

RETENTION = 90 * DAY
"""How long events stay in the database, in seconds."""

logger: logging.Logger = logging.getLogger("unexpired.audit")


class Kind(StrEnum):
    """The kind of an event."""

    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_UP = "sign_up"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a kind
    REFRESH_REUSED = "refresh_reused"
    REFRESH_ROLLED_FORWARD = "refresh_rolled_forward"
    REFRESH_PROOF_REFUSED = "refresh_proof_refused"
    SESSION_REVOKED = "session_revoked"


HARMLESS = frozenset({Kind.SIGN_IN, Kind.SIGN_UP, Kind.PASSWORD_CHANGED, Kind.PASSWORD_RESET})
"""The kinds of what people do by themselves; the others are logged as warnings."""


class Cause(StrEnum):
    """Why a session was revoked, or a proof of its key was refused."""

    SIGN_OUT = "sign_out"
    SIGN_OUT_ELSEWHERE = "sign_out_elsewhere"
    SIGN_OUT_EVERYWHERE = "sign_out_everywhere"
    OPERATOR = "operator"
    PASSWORD = "password"  # noqa: S105 - a cause
    DISABLED = "disabled"
    TOO_MANY = "too_many"
    REUSE = "reuse"
    LOST = "lost"
    """Revoked before; the database had lost it."""
    NO_PROOF = "no_proof"
    OTHER_KEY = "other_key"


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        at: When, in Unix seconds.
        kind: What happened.
        user_id: The user, where known.
        session_id: The session, where there is one.
        address: The client's address, where a client caused it.
        cause: Why a session was revoked, or a proof of its key was refused.
    """

    at: float
    kind: Kind
    user_id: str | None = None
    session_id: str | None = None
    address: str | None = None
    cause: Cause | None = None


async def store_events(connection: AsyncConnection, happened: Sequence[Event]) -> None:
    """Store events, in the transaction that they describe."""
    # One statement of constant size for any number: PostgreSQL takes 32,767 parameters at most.
    if happened:
        await connection.execute(insert(events), [asdict(event) for event in happened])


def log_events(happened: Sequence[Event]) -> None:
    """Log events that are committed."""
    for event in happened:
        level = logging.INFO if event.kind in HARMLESS else logging.WARNING
        details = {name: value for name, value in asdict(event).items() if value is not None}
        logger.log(level, "audit: %s", event.kind.value, extra=details)
