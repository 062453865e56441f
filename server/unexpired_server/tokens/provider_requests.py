"""Requests to a provider: bounded in size, time and number, and without redirects."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode

from unexpired_server.tokens.documents import (
    FETCH_TIMEOUT,
    SOCKET_TIMEOUT,
    NoRedirect,
    read_bounded,
)

THREADS = 4
MAX_QUEUE = 32
"""How many requests may wait for a thread, so that a provider that hangs costs no more."""


class ProviderDownError(OSError):
    """There is no response that says anything; a later request may get one."""


@dataclass(frozen=True)
class ProviderResponse:
    """A provider's response.

    Attributes:
        status: Its status, below 500.
        content: Its body.
    """

    status: int
    content: bytes = field(repr=False)


class ProviderRequests:
    """Sends requests in a few threads, with the standard library."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, "provider")
        self._busy = 0

    async def post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str]
    ) -> ProviderResponse:
        """Send a form.

        Raises:
            ProviderDownError: There is no usable response, or too many requests are waiting.
        """
        return await self._send(urllib.request.Request(  # noqa: S310 - a checked URL
            url, urlencode(form).encode(), {"Accept": "application/json", **headers}, method="POST"
        ))  # fmt: skip

    async def get(self, url: str, headers: Mapping[str, str]) -> ProviderResponse:
        """Get a document.

        Raises:
            ProviderDownError: There is no usable response, or too many requests are waiting.
        """
        given = {"Accept": "application/json", **headers}
        return await self._send(urllib.request.Request(url, headers=given))  # noqa: S310

    def close(self) -> None:
        """Stop the threads; the next use starts others, as tests run one application again."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = ThreadPoolExecutor(THREADS, "provider")

    async def _send(self, request: urllib.request.Request) -> ProviderResponse:
        if self._busy >= THREADS + MAX_QUEUE:
            raise ProviderDownError
        self._busy += 1
        sent = asyncio.get_running_loop().run_in_executor(self._pool, _exchange, request)
        sent.add_done_callback(self._finished)
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                return await asyncio.shield(sent)
        except TimeoutError:
            raise ProviderDownError from None

    def _finished(self, sent: asyncio.Future[ProviderResponse]) -> None:
        self._busy -= 1
        # Nobody may be waiting any more, and asyncio warns about unretrieved exceptions.
        sent.cancelled() or sent.exception()


def _exchange(request: urllib.request.Request) -> ProviderResponse:
    """Send a request and return its response, whatever it says; blocks the thread.

    Raises:
        ProviderDownError: The provider is down, slow or busy, or sends too much.
    """
    opener, until = urllib.request.build_opener(NoRedirect), time.monotonic() + FETCH_TIMEOUT
    try:
        try:
            response = opener.open(request, timeout=SOCKET_TIMEOUT)
        except urllib.error.HTTPError as exc:
            response = exc
        with response:
            content = read_bounded(response, request.full_url, until)
    except Exception as exc:  # noqa: BLE001 - http.client has errors of its own
        raise ProviderDownError(type(exc).__name__) from None  # Messages may quote what was sent.
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR or response.status in {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.REQUEST_TIMEOUT,
    }:
        raise ProviderDownError(f"status {response.status}")
    return ProviderResponse(response.status, content)
