"""What passed between the page and the server: a transport that keeps a diary.

It never keeps a token longer than the next one, and hands out its claims alone.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from unexpired import Request, Response, Transport, UnexpiredError, claims

Kind = Literal["request", "retry", "refresh"]
Ending = Literal["renewed", "expired", "session over"]

KEPT = 200  # entries; older ones are forgotten
REFUSALS = {401, 403}
AT_ITS_END = 0.5  # s; a token that is put away this late was used to its end


@dataclass(slots=True)
class Entry:
    """One request, from when it was sent to when it was answered.

    Attributes:
        kind: a request, its retry with a newer token, or a refresh.
        call: method and path, such as "GET /api/notes".
        sent_at: when, in monotonic seconds.
        took: seconds until the answer, or None while there is none.
        outcome: the status and the code of the answer, or why there is none.
        failed: whether the answer was a refusal or a fault, or none came.
    """

    kind: Kind
    call: str
    sent_at: float
    took: float | None = None
    outcome: str = "under way"
    failed: bool = False


@dataclass(slots=True)
class Life:
    """The life of one access token, in monotonic seconds.

    Attributes:
        born_at: when it was issued.
        due_at: when it is refreshed: its margin before its end; None if it cannot be renewed.
        dies_at: when it expires.
        replaced_at: when a newer one took its place, or its session ended.
        ending: what ended it then.
    """

    born_at: float
    due_at: float | None
    dies_at: float
    replaced_at: float | None = None
    ending: Ending | None = None

    def ended_at(self, now: float) -> float | None:
        """When it came to its end; None while it is good."""
        return self.replaced_at or (self.dies_at if now >= self.dies_at else None)

    def how_it_ended(self, now: float) -> Ending | None:
        """What ended it; None while it is good."""
        return self.ending or ("expired" if now >= self.dies_at else None)


class Recorder:
    """A transport that passes everything on and remembers the last of it.

    Args:
        transport: sends the requests.
        refresh_path: what a refresh is known by.
        now: the clock, in monotonic seconds.
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
        self.entries: deque[Entry] = deque(maxlen=KEPT)
        self.lives: deque[Life] = deque(maxlen=KEPT)
        self._bearer = ""
        self._refused: Counter[tuple[str, str]] = Counter()

    async def send(self, request: Request) -> Response:
        """Send the request and write down what came of it; see ``Transport``."""
        entry = Entry(self._kind(request), _call(request), self.now())
        self._bearer = request.headers.get("authorization", self._bearer)
        self.entries.append(entry)
        try:
            response = await self._transport.send(request)
        except UnexpiredError:
            self._close(entry, "no answer", failed=True)
            raise
        except BaseException:
            self._close(entry, "given up", failed=True)
            raise
        self._answered(entry, request, response)
        return response

    def _kind(self, request: Request) -> Kind:
        if urlsplit(request.url).path.endswith(self._refresh_path):
            return "refresh"
        # The same call, which was refused with another token.
        key = (_call(request), request.headers.get("authorization", ""))
        for call, bearer in self._refused:
            if call == key[0] and bearer != key[1]:
                self._refused -= Counter([(call, bearer)])
                return "retry"
        return "request"

    def _answered(self, entry: Entry, request: Request, response: Response) -> None:
        if response.status_code in REFUSALS and "authorization" in request.headers:
            self._refused[entry.call, request.headers["authorization"]] += 1
        outcome = f"{response.status_code} {response.code or ''}".rstrip()
        self._close(entry, outcome, failed=not response.is_success)

    def _close(self, entry: Entry, outcome: str, *, failed: bool) -> None:
        entry.took = self.now() - entry.sent_at
        entry.outcome, entry.failed = outcome, failed

    # -- Tokens --------------------------------------------------------------------------------

    def begin_life(self, *, lifetime: float, left: float, due_in: float | None) -> None:
        """Note a new access token.

        Args:
            lifetime: how long it lives in all, in seconds.
            left: how much of that is left.
            due_in: seconds until it is refreshed, or None if it cannot be.
        """
        self.end_life("renewed")
        now = self.now()
        due_at = None if due_in is None else now + due_in
        # Servers count in whole seconds: no token is older than the end of the one before it.
        earliest = (self.lives[-1].replaced_at or 0) if self.lives else 0
        born_at = max(now + left - lifetime, earliest)
        self.lives.append(Life(born_at, due_at, now + left))

    def end_life(self, ending: Ending) -> None:
        """Note that the access token is no longer used, unless its time was over before."""
        if self.lives and self.lives[-1].ending is None:
            life, now = self.lives[-1], self.now()
            life.replaced_at = min(now, life.dies_at)
            life.ending = "expired" if now >= life.dies_at - AT_ITS_END else ending

    def claims(self) -> Mapping[str, Any]:
        """The claims of the last access token that was sent; empty if there is none to read."""
        try:
            return claims(self._bearer.removeprefix("Bearer "))
        except ValueError:
            return {}

    def forget(self) -> None:
        """Forget the token, and which calls it was refused for: its session is over."""
        self.end_life("session over")
        self._bearer = ""
        self._refused.clear()


def _call(request: Request) -> str:
    # No query: what a person searched for has no place on a screen that is shown to others.
    return f"{request.method} {urlsplit(request.url).path}"
