"""A store for a session whose refresh token is in a cookie, which no script can read.

Only a marker is stored: which session it is, its user, and what is known of its refresh, but no
token. Each tab keeps its access token in memory, and refreshes for itself: a tab that has been
opened, or that follows a sign-in of another tab, begins with a record whose token has expired. The
marker is shared, so that the tabs agree on one attempt and learn of a sign-out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unexpired.outside_text import loads as outside
from unexpired.session_record import Generation, Record
from unexpired.token_response import Tokens

if TYPE_CHECKING:
    from unexpired.ports import PreloadedStore, TokenStore

MARKER: tuple[str, ...] = (
    *("version", "api", "session", "user", "refused", "attempt"),
    *("key", "nonce"),  # Of a bound session: by both a page that is opened refreshes at once.
)
"""The members of a record that are stored. Each is shared by the tabs, and none is a token."""

_NO_TOKENS = Tokens("", None, expires_at=0, lifetime=None, in_cookie=True)


def marker_key(key: str) -> str:
    """Return the name to store the marker under.

    It is not that of a record: a page with another ``storage`` would take it for a damaged one.
    """
    return f"{key}:cookie"


class CookieStore:
    """Stores the marker, and keeps the tokens in memory.

    Args:
        store: Stores the marker.
    """

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self._record: Mapping[str, Any] = {}  # as this tab saved it last

    def load(self) -> str | None:
        """Return the record of the marker's session, with this tab's tokens if it has some."""
        text = self._store.load()
        if text is None:
            self._record = {}
            return None
        try:
            marker = outside(text)
            mine = self._record if self._record.get("session") == marker["session"] else None
            shared = {name: marker[name] for name in MARKER if name in marker}
            return json.dumps({**(mine or _without_tokens(shared)), **shared})
        except (ValueError, KeyError, TypeError):
            return text  # It is damaged, which the session's owner finds out.

    def save(self, text: str) -> None:
        """Keep the record in memory, and store its marker."""
        self._record = outside(text)
        marker = {name: self._record[name] for name in MARKER if name in self._record}
        self._store.save(json.dumps(marker))

    def clear(self) -> None:
        """Remove the marker, and the tokens."""
        self._record = {}
        self._store.clear()


class PreloadedCookieStore(CookieStore):
    """The same on a store that is read ahead.

    Args:
        store: Stores the marker.
    """

    def __init__(self, store: PreloadedStore) -> None:
        super().__init__(store)
        self._preloaded = store

    async def preload(self) -> None:
        """Read the marker, unless that is done."""
        await self._preloaded.preload()


def _without_tokens(marker: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record for a session of another tab, or of the page before a reload."""
    record = Record(Generation("new", 1), _NO_TOKENS, key=marker.get("key"))
    whole: dict[str, Any] = outside(record.dumps())
    return whole


if TYPE_CHECKING:
    _store: type[TokenStore] = CookieStore
    _preloaded: type[PreloadedStore] = PreloadedCookieStore
