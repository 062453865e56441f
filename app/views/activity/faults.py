"""Simulated faults for the experiments: of the network, of the token and of the clock."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

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
        refresh_path: The path of refreshes.

    Attributes:
        is_offline: Whether every request fails without a response.
        damages_tokens: Whether the bearer token of each request is damaged before it is sent.
        expires_next_token: Whether the next bearer token counts as expired from then on.
        delay: How many seconds later each response arrives.
        loses_next_tokens: Whether the response to the next refresh is lost, after the server has
            sent it.
    """

    def __init__(self, transport: Transport, *, refresh_path: str = "/api/refresh") -> None:
        self._transport = transport
        self._refresh_path = refresh_path
        self.is_offline = False
        self.damages_tokens = False
        self.expires_next_token = False
        self.delay = 0.0
        self.loses_next_tokens = False
        self._expired = ""

    def repair(self) -> None:
        """Stop all faults, except that an expired token stays expired."""
        self.is_offline = self.damages_tokens = self.expires_next_token = False
        self.loses_next_tokens, self.delay = False, 0.0

    async def send(self, request: Request) -> Response:
        """Send the request with the current faults; see ``Transport``."""
        if self.is_offline:
            raise Unreachable
        bearer = request.headers.get("authorization", "")
        if bearer and self._has_expired(bearer):
            return EXPIRED
        if bearer and self.damages_tokens:
            request = request.with_header("authorization", _damaged(bearer))
        response = await self._transport.send(request)
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.loses_next_tokens and self._has_tokens(request, response):
            self.loses_next_tokens = False
            raise Unreachable
        return response

    def _has_tokens(self, request: Request, response: Response) -> bool:
        return response.is_success and urlsplit(request.url).path.endswith(self._refresh_path)

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
