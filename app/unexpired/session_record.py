"""The stored form of a session: one text, written and read completely."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from unexpired.outside_text import loads as outside
from unexpired.token_response import Tokens

VERSION = 1


@dataclass(frozen=True, slots=True)
class Generation:
    """The version of a session's tokens.

    Attributes:
        session: The name of the session on this device.
        number: Counts the refreshes, from 1.
    """

    session: str
    number: int

    def is_newer_than(self, other: Generation) -> bool:
        """Return whether this is a later version of the same session."""
        return self.session == other.session and self.number > other.number


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """What is stored of a session: the tokens, their times, the user.

    Attributes:
        generation: The version of the tokens.
        tokens: The tokens, with their times by this device's clock.
        refused: The code with which the server refused to refresh them, or None.
        attempt: The id of the refresh that was begun and whose result is not stored, or None.
    """

    generation: Generation
    tokens: Tokens
    refused: str | None = None
    attempt: str | None = None

    @property
    def can_renew(self) -> bool:
        """Whether there is a refresh token that the server has not refused."""
        return self.tokens.refresh_token is not None and self.refused is None

    def has_expired(self, now: float) -> bool:
        """Return whether the access token has expired, as far as this device can tell."""
        return self.tokens.expires_at is not None and now >= self.tokens.expires_at

    def due_at(self, margin: float) -> float:
        """Return when to refresh, in Unix seconds: the margin before the token expires.

        The margin is at most a quarter of the lifetime; otherwise a token that lives for a minute
        would be due as soon as it is issued.
        """
        if self.tokens.expires_at is None:
            return float("inf")
        return self.tokens.expires_at - min(margin, (self.tokens.lifetime or 0) / 4)

    def dumps(self) -> str:
        """Return the record as the text that is stored."""
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
                **({} if self.attempt is None else {"attempt": self.attempt}),
            }
        )

    def __repr__(self) -> str:
        return f"<Record {self.generation.number} {self.tokens!r}>"


class UnknownRecord(ValueError):  # noqa: N818
    """A stored text that this version cannot read.

    Attributes:
        from_later_version: Whether a later version of this library wrote it; it is then kept.
    """

    def __init__(self, *, from_later_version: bool = False) -> None:
        super().__init__("not a record of a session")
        self.from_later_version = from_later_version


def loads(text: str) -> Record:
    """Read a stored record.

    Raises:
        UnknownRecord: If it is garbage, or of a version that this one does not know.
    """
    try:
        value = outside(text, finite=True)
        return _record(value) if value["version"] == VERSION else _unknown(value["version"])
    except UnknownRecord:
        raise
    except (ValueError, KeyError, TypeError):
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
    return Record(
        generation,
        tokens,
        refused=_of(str | None, value["refused"]),
        attempt=_of(str | None, value.get("attempt")),
    )


def _of(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise UnknownRecord
    return value
