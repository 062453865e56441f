"""Requests and tokens as JSON values: for other tabs, and for a file that goes to others.

Only what is listed here leaves the page, in forms that have no space for a token, a password or a
text. What comes in is checked against the same forms: a file may be from anybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

from views.activity.entries import Entry, Kind, TokenLifetime

CALL = re.compile(r"[A-Z]{1,10} /[^\s?#]{0,200}")
OUTCOME = re.compile(r"\d{3}( [A-Z][A-Z_]{0,39})?|pending|no response|cancelled")
LATEST = 1e11  # s; every browser can write such a date, and none later than 80 times that

Clock = Callable[[float], float]


def pack_entry(entry: Entry, unix: Clock) -> dict[str, Any]:
    """Return a request as a JSON value.

    Args:
        entry: The request.
        unix: Returns its times in Unix seconds.
    """
    return {
        "kind": entry.kind,
        "call": entry.call,
        "number": entry.number,
        "askedAt": _pack_time(entry.asked_at, unix),
        "sentAt": _pack_time(entry.sent_at, unix),
        "duration": None if entry.duration is None else round(entry.duration, 4),
        "outcome": entry.outcome,
        "failed": entry.failed,
        "healed": entry.healed,
    }


def unpack_entry(value: Any) -> Entry:
    """Return the request in a JSON value; its times are Unix seconds.

    Raises:
        ValueError: If it is none.
    """
    match value:
        case {
            "kind": "request" | "retry" | "refresh" as kind,
            "call": str() as call,
            "number": int() as number,
            "askedAt": asked_at,
            "sentAt": sent_at,
            "duration": duration,
            "outcome": str() as outcome,
            "failed": bool() as failed,
            "healed": bool() as healed,
        } if CALL.fullmatch(call) and OUTCOME.fullmatch(outcome):
            return Entry(
                _kind(kind),
                call,
                unpack_time(sent_at),
                number,
                _optional_time(asked_at),
                _optional_time(duration),
                outcome,
                failed,
                healed,
            )
    raise ValueError("this is no request")


def pack_lifetime(lifetime: TokenLifetime, unix: Clock) -> dict[str, Any]:
    """Return a token's lifetime as a JSON value, its times in Unix seconds."""
    return {
        "issuedAt": _pack_time(lifetime.issued_at, unix),
        "refreshAt": _pack_time(lifetime.refresh_at, unix),
        "expiresAt": _pack_time(lifetime.expires_at, unix),
        "endedAt": _pack_time(lifetime.ended_at, unix),
        "end": lifetime.end,
    }


def unpack_lifetime(value: Any) -> TokenLifetime:
    """Return the token's lifetime in a JSON value; its times are Unix seconds.

    Raises:
        ValueError: If it is none.
    """
    match value:
        case {
            "issuedAt": issued_at,
            "refreshAt": refresh_at,
            "expiresAt": expires_at,
            "endedAt": ended_at,
            "end": None | "renewed" | "expired" | "session ended" as end,
        }:
            return TokenLifetime(
                unpack_time(issued_at),
                _optional_time(refresh_at),
                unpack_time(expires_at),
                _optional_time(ended_at),
                end,
            )
    raise ValueError("this is no token's lifetime")


def unpack_time(value: Any) -> float:
    """Return a time, or a number of seconds.

    Raises:
        ValueError: If it is none, or one that no date can show.
    """
    if isinstance(value, int | float) and 0 <= value <= LATEST:
        return float(value)
    raise ValueError("this is no time")


def _optional_time(value: Any) -> float | None:
    return None if value is None else unpack_time(value)


def _pack_time(at: float | None, unix: Clock) -> float | None:
    return None if at is None else round(unix(at), 4)


def _kind(text: str) -> Kind:
    return next(kind for kind in get_args(Kind) if kind == text)
