"""The stored form of a session: one text, written and read completely."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from unexpired.claims import claims
from unexpired.origins import origin_of
from unexpired.outside_text import loads as outside
from unexpired.ports import TokenStore
from unexpired.proofs import BEARER, DPOP, KEY_LOST, checked_nonce
from unexpired.token_response import MAX_SECONDS, Tokens, is_sendable

VERSION = 1
BOUND_VERSION = 2
"""Of a record with a key. A page of an earlier version, which would lose the key, leaves it."""

MAX_GENERATION = 2**53  # JavaScript counts exactly only to here.
MAX_NAME = 100

Checked = TypeVar("Checked")

NO_ATTEMPT = "." * 22
"""As long as an attempt, so that a full storage that holds the record has room for one."""

_ATTEMPT = re.compile(r"[A-Za-z0-9_-]{22,64}")
_KEY = re.compile(r"[A-Za-z0-9_-]{1,1024}")


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
        key: The handle of the key that the session is bound to, or None. In a program it is the
            private key itself.
    """

    generation: Generation
    tokens: Tokens
    refused: str | None = None
    attempt: str | None = None
    key: str | None = None

    @property
    def can_renew(self) -> bool:
        """Whether there is a refresh token that the server has not refused."""
        has_one = self.tokens.refresh_token is not None or self.tokens.in_cookie
        return has_one and self.refused is None

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

    def dumps(self, api: str = "") -> str:
        """Return the record as the text that is stored.

        Args:
            api: The API that issued the tokens; empty if it is not known.
        """
        tokens = self.tokens
        binding = {"key": self.key, "nonce": tokens.nonce, "scheme": tokens.scheme}
        cookie, identity = {"cookie": True}, {"idToken": tokens.id_token}
        return json.dumps(
            {
                "version": BOUND_VERSION if self.key else VERSION,
                "api": api,
                "session": self.generation.session,
                "generation": self.generation.number,
                "accessToken": tokens.access_token,
                "refreshToken": tokens.refresh_token,
                "expiresAt": tokens.expires_at,
                "lifetime": tokens.lifetime,
                "skew": tokens.skew,
                "user": tokens.user,
                # Another tab may have opened the key while it was there.
                "refused": None if self.refused == KEY_LOST else self.refused,
                "attempt": self.attempt or NO_ATTEMPT,
                **(binding if self.key else {}),
                **(cookie if tokens.in_cookie else {}),
                **(identity if tokens.id_token else {}),
            }
        )

    def __repr__(self) -> str:
        return f"<Record {self.generation.number} {self.tokens!r}>"


class UnknownRecord(ValueError):  # noqa: N818
    """A stored text that this client cannot continue.

    Attributes:
        from_later_version: Whether a later version of this library wrote it; it is then kept.
        of_another_api: Whether its tokens were issued by another API; it is then kept.
    """

    def __init__(self, *, from_later_version: bool = False, of_another_api: bool = False) -> None:
        super().__init__("not a record of this session")
        self.from_later_version = from_later_version
        self.of_another_api = of_another_api

    @property
    def is_damaged(self) -> bool:
        """Whether nobody can read it, so that it may be removed."""
        return not self.from_later_version and not self.of_another_api


def loads(text: str, api: str = "", *, is_exact: bool = False) -> Record:
    """Read a stored record.

    A record without an API is one of an earlier version. It is taken for this client's own: it is
    stored under this client's key.

    Args:
        text: The stored text.
        api: The API of this client, which no other API's tokens are sent to; empty: unknown.
        is_exact: Whether a record without an API is not this client's.

    Raises:
        UnknownRecord: If it is garbage or damaged, of a version that this one does not know, or of
            another API.
    """
    record, issuer = _parse(text)
    if api and (issuer or is_exact) and issuer != api:
        raise UnknownRecord(of_another_api=True)
    return record


def _parse(text: str) -> tuple[Record, str]:
    """Return a record and the API that issued it; empty for a record of an earlier version."""
    try:
        value = outside(text, finite=True)
        _check_version(value["version"])
        record, issuer = _record(value), value.get("api", "")
    except UnknownRecord:
        raise
    except (ValueError, KeyError, TypeError):
        raise UnknownRecord from None
    if not isinstance(issuer, str):
        raise UnknownRecord
    return record, issuer


def _check_version(value: object) -> None:
    version = _count(value)
    if version > BOUND_VERSION:
        raise UnknownRecord(from_later_version=True)


def _record(value: Mapping[str, Any]) -> Record:
    in_cookie = value.get("cookie") is True
    tokens = Tokens(
        # A page that has just been opened has none yet, and refreshes by the cookie.
        access_token="" if in_cookie and not value["accessToken"] else _token(value["accessToken"]),
        refresh_token=_optional(_token, value["refreshToken"]),
        expires_at=_optional(_seconds, value["expiresAt"]),
        lifetime=_optional(_lifetime, value["lifetime"]),
        skew=_seconds(value["skew"]),
        user=_optional(_user, value["user"]),
        in_cookie=in_cookie,
        id_token=_optional(_token, value.get("idToken")),
        **_binding(value),
    )
    generation = Generation(_name(value["session"]), _count(value["generation"]))
    return Record(
        generation,
        tokens,
        refused=_optional(_name, value["refused"]),
        attempt=_attempt(value.get("attempt")),
        key=_optional(_key, value.get("key")),
    )


def _binding(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the tokens of a session with a key have besides."""
    if value.get("key") is None:
        return {}
    scheme = value.get("scheme")
    if scheme not in {BEARER, DPOP}:
        raise UnknownRecord
    return {"is_bound": True, "nonce": checked_nonce(value.get("nonce")), "scheme": scheme}


def _optional(check: Callable[[Any], Checked], value: Any) -> Checked | None:
    return None if value is None else check(value)


def _token(value: Any) -> str:
    if isinstance(value, str) and is_sendable(value):
        return value
    raise UnknownRecord


def _name(value: Any) -> str:
    if isinstance(value, str) and 0 < len(value) <= MAX_NAME:
        return value
    raise UnknownRecord


def _key(value: Any) -> str:
    if isinstance(value, str) and _KEY.fullmatch(value):
        return value
    raise UnknownRecord


def _attempt(value: Any) -> str | None:
    # A damaged one would be refused again and again; without it the session has a chance.
    return value if isinstance(value, str) and _ATTEMPT.fullmatch(value) else None


def _seconds(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_SECONDS:
        return value
    raise UnknownRecord


def _lifetime(value: Any) -> float:
    if _seconds(value) > 0:
        return _seconds(value)
    raise UnknownRecord


def _count(value: Any) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    if is_count and 1 <= value <= MAX_GENERATION:
        return int(value)
    raise UnknownRecord


def _user(value: Any) -> Mapping[str, Any]:
    if isinstance(value, dict) and value:
        return value
    raise UnknownRecord


# -- Records of earlier versions, which stored the session of every API under one key ------------


def move_old_record(old: TokenStore, new: TokenStore, *, api: str, page_url: str) -> None:
    """Move the record of an earlier version to this API's own key, where it is surely this API's.

    It is, if the API is of the page's own origin, or if the access token names the API's origin as
    its issuer or audience. Otherwise it stays: a token is never sent to an API on a guess.

    Args:
        old: The store under the earlier key.
        new: The store under this API's key; a record there is kept.
        api: The API of the client.
        page_url: The address of the page.
    """
    text = old.load()
    if text is None or new.load() is not None:
        return
    try:
        record, issuer = _parse(text)
    except UnknownRecord:
        return
    is_own = origin_of(api) == origin_of(page_url) or _names(record.tokens.access_token, api)
    if not issuer and is_own:
        new.save(text)
        old.clear()  # Two clients that refresh the same token would look like a theft.


def _names(token: str, api: str) -> bool:
    """Return whether a token names the API's origin (RFC 7519, sections 4.1.1 and 4.1.3)."""
    try:
        facts = claims(token)
    except ValueError:
        return False
    audience = facts.get("aud")
    names = [facts.get("iss"), *(audience if isinstance(audience, list) else [audience])]
    return any(isinstance(name, str) and origin_of(name) == origin_of(api) for name in names)
