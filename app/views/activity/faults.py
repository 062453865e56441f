"""Simulated faults for the experiments: no network, a damaged or expired token, a wrong clock."""

from __future__ import annotations

import time

from unexpired import Headers, Request, Response, SystemClock, Transport, Unreachable

# The server's response to an expired token.
EXPIRED = Response(
    401,
    Headers({"content-type": "application/json"}),
    b'{"error": "The access token has expired.", "code": "TOKEN_EXPIRED"}',
)


class FaultyTransport:
    """A transport that fails on demand.

    Args:
        transport: Sends the requests that do not fail.

    Attributes:
        is_offline: Whether every request fails without a response.
        damages_tokens: Whether the bearer token of each request is damaged before it is sent.
        expires_next_token: Whether the next bearer token counts as expired from then on.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.is_offline = False
        self.damages_tokens = False
        self.expires_next_token = False
        self._expired = ""

    def repair(self) -> None:
        """Stop all faults, except that an expired token stays expired."""
        self.is_offline = self.damages_tokens = self.expires_next_token = False

    async def send(self, request: Request) -> Response:
        """Send the request with the current faults; see ``Transport``."""
        if self.is_offline:
            raise Unreachable
        bearer = request.headers.get("authorization", "")
        if bearer and self._has_expired(bearer):
            return EXPIRED
        if bearer and self.damages_tokens:
            request = request.with_header("authorization", _damaged(bearer))
        return await self._transport.send(request)

    def _has_expired(self, bearer: str) -> bool:
        if self.expires_next_token:
            self.expires_next_token, self._expired = False, bearer
        return bearer == self._expired


def _damaged(bearer: str) -> str:
    # Change the first character of the signature: some bits of the last one are padding.
    head, dot, signature = bearer.rpartition(".")
    return f"{head}{dot}{'B' if signature.startswith('A') else 'A'}{signature[1:]}"


class FaultyClock(SystemClock):
    """The device's clock, wrong by ``error`` seconds."""

    error = 0.0

    def now(self) -> float:
        """Return the Unix time in seconds, plus the error."""
        return time.time() + self.error
