"""Records the requests between the page and the server, and the lifetimes of the access tokens.

It keeps only the last token that was sent, and exposes only its claims.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from unexpired import Request, Response, Transport, UnexpiredError, claims

Kind = Literal["request", "retry", "refresh"]
End = Literal["renewed", "expired", "session ended"]

MAX_ENTRIES = 200  # older ones are dropped
REFUSALS = {401, 403}
EXPIRY_TOLERANCE = 0.5  # s; a token that is replaced this shortly before its expiry has expired


@dataclass(slots=True)
class Entry:
    """One request and its outcome.

    Attributes:
        kind: A request, its retry with a newer token, or a refresh.
        call: The method and the path, such as "GET /api/notes".
        sent_at: When it was sent, in monotonic seconds.
        duration: Seconds until the response, or None until then.
        outcome: The response's status and code, or why there is none.
        failed: Whether the response was not a success, or none came.
    """

    kind: Kind
    call: str
    sent_at: float
    duration: float | None = None
    outcome: str = "pending"
    failed: bool = False


@dataclass(slots=True)
class TokenLifetime:
    """The lifetime of one access token, in monotonic seconds.

    Attributes:
        issued_at: When the server issued it.
        refresh_at: When it is due for a refresh; None if it cannot be renewed.
        expires_at: When it expires.
        ended_at: When a newer token replaced it, or its session ended.
        end: Why it ended then.
    """

    issued_at: float
    refresh_at: float | None
    expires_at: float
    ended_at: float | None = None
    end: End | None = None

    def end_time(self, now: float) -> float | None:
        """Return when it ended; None while it is valid."""
        return self.ended_at or (self.expires_at if now >= self.expires_at else None)

    def end_reason(self, now: float) -> End | None:
        """Return why it ended; None while it is valid."""
        return self.end or ("expired" if now >= self.expires_at else None)


class Recorder:
    """A transport that passes all requests on and records the most recent ones.

    Args:
        transport: Sends the requests.
        refresh_path: The path of refreshes.
        now: The clock, in monotonic seconds.
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
        self._bearer = ""
        self._refused: Counter[tuple[str, str]] = Counter()

    async def send(self, request: Request) -> Response:
        """Send the request and record its outcome; see ``Transport``."""
        entry = Entry(self._kind(request), _call(request), self.now())
        self._bearer = request.headers.get("authorization", self._bearer)
        self.entries.append(entry)
        try:
            response = await self._transport.send(request)
        except UnexpiredError:
            self._finish(entry, "no response", failed=True)
            raise
        except BaseException:
            self._finish(entry, "cancelled", failed=True)
            raise
        self._record(entry, request, response)
        return response

    def _kind(self, request: Request) -> Kind:
        if urlsplit(request.url).path.endswith(self._refresh_path):
            return "refresh"
        # A retry repeats a refused call with another token.
        key = (_call(request), request.headers.get("authorization", ""))
        for call, bearer in self._refused:
            if call == key[0] and bearer != key[1]:
                self._refused -= Counter([(call, bearer)])
                return "retry"
        return "request"

    def _record(self, entry: Entry, request: Request, response: Response) -> None:
        if response.status_code in REFUSALS and "authorization" in request.headers:
            self._refused[entry.call, request.headers["authorization"]] += 1
        outcome = f"{response.status_code} {response.code or ''}".rstrip()
        self._finish(entry, outcome, failed=not response.is_success)

    def _finish(self, entry: Entry, outcome: str, *, failed: bool) -> None:
        entry.duration = self.now() - entry.sent_at
        entry.outcome, entry.failed = outcome, failed

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
        """Forget the token and the calls that it was refused for."""
        self.end_lifetime("session ended")
        self._bearer = ""
        self._refused.clear()


def _call(request: Request) -> str:
    # Without the query: search terms do not belong on a screen that others may see.
    return f"{request.method} {urlsplit(request.url).path}"
