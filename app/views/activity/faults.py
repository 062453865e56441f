"""Faults to order, for experiments: no network, a bad token, a wrong clock."""

import time

from unexpired import Headers, Request, Response, SystemClock, Transport, Unreachable

# What the server answers to an expired token.
EXPIRED = Response(
    401,
    Headers({"content-type": "application/json"}),
    b'{"error": "The access token has expired.", "code": "TOKEN_EXPIRED"}',
)


class FaultyTransport:
    """A transport that fails when it is told to.

    Args:
        transport: sends the requests in between.

    Attributes:
        is_offline: whether no request gets an answer.
        damages: whether the bearer token of each request is damaged on its way.
        expires_next: whether the next bearer token counts as expired from then on.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.is_offline = False
        self.damages = False
        self.expires_next = False
        self._expired = ""

    def heal(self) -> None:
        """Fail no more."""
        self.is_offline = self.damages = self.expires_next = False

    async def send(self, request: Request) -> Response:
        """Send the request, or what is left of it; see ``Transport``."""
        if self.is_offline:
            raise Unreachable
        bearer = request.headers.get("authorization", "")
        if bearer and self._has_expired(bearer):
            return EXPIRED
        if bearer and self.damages:
            request = request.with_header("authorization", _damaged(bearer))
        return await self._transport.send(request)

    def _has_expired(self, bearer: str) -> bool:
        if self.expires_next:
            self.expires_next, self._expired = False, bearer
        return bearer == self._expired


def _damaged(bearer: str) -> str:
    # The first character of a signature: in the last one some bits do not count.
    head, dot, signature = bearer.rpartition(".")
    return f"{head}{dot}{'B' if signature.startswith('A') else 'A'}{signature[1:]}"


class FaultyClock(SystemClock):
    """The device's clock, wrong by ``error`` seconds."""

    error = 0.0

    def now(self) -> float:
        """Return Unix seconds, more or less."""
        return time.time() + self.error
