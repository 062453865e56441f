"""Records the requests between the page and the server, and the lifetimes of the access tokens.

It keeps only the last token that was sent, and exposes only its claims.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal
from urllib.parse import urlsplit

from unexpired import Request, Response, Transport, UnexpiredError, claims
from views.activity.entries import End, Entry, Kind, TokenLifetime

MAX_ENTRIES = 600  # older ones are dropped
EXPIRY_TOLERANCE = 0.5  # s; a token that is replaced this shortly before its expiry has expired
NO_RESPONSE = "no response"
# A refresh that failed like this is repeated. After any other refusal, the session is over.
REPEATED = (NO_RESPONSE, "400 USE_DPOP_NONCE", "401 USE_DPOP_NONCE")
CODE = re.compile(r"[A-Z][A-Z_]{0,39}")
LONG_SEGMENT = re.compile(r"[^/]{16,}|\s+")


@dataclass(slots=True)
class Call:
    """One call of the page, which may take several requests.

    Attributes:
        number: Its number.
        asked_at: When the page made it, in monotonic seconds.
        entries: Its requests so far.
    """

    number: int
    asked_at: float
    entries: list[Entry] = field(default_factory=list)


# A task has its call in its context, and so has the refresh that it starts.
_current: ContextVar[Call | None] = ContextVar("call", default=None)


class Recorder:
    """A transport that passes all requests on and records the most recent ones.

    Args:
        transport: Sends the requests.
        refresh_path: The path of refreshes.
        now: The clock, in monotonic seconds.

    Attributes:
        entries: The requests, in order.
        lifetimes: The lifetimes of the access tokens, in order.
        on_change: Called with each new request, and with each that has changed.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        refresh_path: str = "/api/refresh",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._refresh_path = refresh_path
        self.now = now
        self.entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self.lifetimes: deque[TokenLifetime] = deque(maxlen=MAX_ENTRIES)
        self.on_change: Callable[[Entry], None] = lambda _: None
        self._bearer = ""
        self._numbers = count(1)

    # -- Requests ------------------------------------------------------------------------------

    @property
    def hooks(self) -> dict[Literal["request", "response"], list[Callable[[Any], None]]]:
        """The client's ``event_hooks``: they tell which requests belong to one call."""
        return {"request": [self._begin_call], "response": [self._end_call]}

    def _begin_call(self, _: Request) -> None:
        _current.set(Call(next(self._numbers), self.now()))

    def _end_call(self, _: object) -> None:
        _current.set(None)

    async def send(self, request: Request) -> Response:
        """Send the request and record its outcome; see ``Transport``."""
        call = _current.get()
        entry = self._new_entry(request, call)
        self._bearer = request.headers.get("authorization", self._bearer)
        self.entries.append(entry)
        self.on_change(entry)
        try:
            response = await self._transport.send(request)
        except UnexpiredError:
            self._finish(entry, NO_RESPONSE, failed=True)
            raise
        except BaseException:
            self._finish(entry, "cancelled", failed=True)
            raise
        self._finish(entry, _outcome(response), failed=not response.is_success)
        if response.is_success and call is not None:
            self._heal([one for one in call.entries if one.failed])
        return response

    def _new_entry(self, request: Request, call: Call | None) -> Entry:
        kind: Kind = "request"
        if urlsplit(request.url).path.endswith(self._refresh_path):
            kind = "refresh"
        elif call is not None and call.entries:
            kind = "retry"
        if call is None:
            return Entry(kind, _call(request), self.now())
        entry = Entry(kind, _call(request), self.now(), call.number, call.asked_at)
        if kind != "refresh":
            call.entries.append(entry)
        return entry

    def _finish(self, entry: Entry, outcome: str, *, failed: bool) -> None:
        entry.duration = self.now() - entry.sent_at
        entry.outcome, entry.failed = outcome, failed
        self.on_change(entry)

    def heal_refreshes(self) -> None:
        """Mark the refreshes that failed as made up for: there are new tokens."""
        self._heal(
            [one for one in self.entries if one.kind == "refresh" and one.outcome in REPEATED]
        )

    def _heal(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if not entry.healed:
                entry.healed = True
                self.on_change(entry)

    # -- Tokens --------------------------------------------------------------------------------

    def start_lifetime(
        self, *, lifetime: float, expires_in: float, refresh_in: float | None
    ) -> None:
        """Record a new access token.

        Args:
            lifetime: Its whole lifetime, in seconds.
            expires_in: Seconds until it expires.
            refresh_in: Seconds until it is refreshed, or None if it cannot be renewed.
        """
        self.end_lifetime("renewed")
        now = self.now()
        refresh_at = None if refresh_in is None else now + refresh_in
        # Servers count whole seconds, so a token may seem older than the end of the last one.
        earliest = (self.lifetimes[-1].ended_at or 0) if self.lifetimes else 0
        issued_at = max(now + expires_in - lifetime, earliest)
        self.lifetimes.append(TokenLifetime(issued_at, refresh_at, now + expires_in))

    def end_lifetime(self, end: End) -> None:
        """Record that the access token is not used any more, unless it has expired before."""
        if self.lifetimes and self.lifetimes[-1].end is None:
            lifetime, now = self.lifetimes[-1], self.now()
            lifetime.ended_at = min(now, lifetime.expires_at)
            lifetime.end = "expired" if now >= lifetime.expires_at - EXPIRY_TOLERANCE else end

    def claims(self) -> Mapping[str, Any]:
        """Return the claims of the last access token; empty if there is none, or not a JWT."""
        try:
            return claims(self._bearer.removeprefix("Bearer "))
        except ValueError:
            return {}

    def end_session(self) -> None:
        """Forget the token."""
        self.end_lifetime("session ended")
        self._bearer = ""


def _call(request: Request) -> str:
    # Without the query and long identifiers: they do not belong on a screen that others may see,
    # and into a recording that is sent to others.
    path = urlsplit(request.url).path or "/"
    return f"{request.method} {LONG_SEGMENT.sub('…', path)}"


def _outcome(response: Response) -> str:
    # A code of another form may be any text of the server's.
    code = response.code or ""
    return f"{response.status_code} {code if CODE.fullmatch(code) else ''}".rstrip()
