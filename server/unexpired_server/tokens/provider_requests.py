"""Requests to a provider: bounded in size, time and number, and without redirects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus

from unexpired_server.tokens.documents import FETCH_TIMEOUT
from unexpired_server.tokens.forms import Form, FormResponse, exchange, post_form

THREADS = 4
MAX_QUEUE = 32
"""How many requests may wait for a thread, so that a provider that hangs costs no more."""

BUSY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class ProviderDownError(OSError):
    """There is no response that says anything; a later request may get one."""


class ProviderRequests:
    """Sends requests in a few threads, with the standard library."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, "provider")
        self._busy = 0

    async def post(self, form: Form) -> FormResponse:
        """Send a form.

        Raises:
            ProviderDownError: There is no usable response, or too many requests are waiting.
        """
        return await self._send(partial(post_form, form))

    async def get(self, url: str, headers: Mapping[str, str]) -> FormResponse:
        """Get a document.

        Raises:
            ProviderDownError: There is no usable response, or too many requests are waiting.
        """
        return await self._send(partial(exchange, url, None, headers))

    def close(self) -> None:
        """Stop the threads; the next use starts others, as tests run one application again."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = ThreadPoolExecutor(THREADS, "provider")

    async def _send(self, work: Callable[[], FormResponse]) -> FormResponse:
        if self._busy >= THREADS + MAX_QUEUE:
            raise ProviderDownError("too many requests are waiting")
        self._busy += 1
        sent = asyncio.get_running_loop().run_in_executor(self._pool, _usable, work)
        sent.add_done_callback(self._finished)
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                return await asyncio.shield(sent)
        except TimeoutError:
            raise ProviderDownError("it is too slow") from None

    def _finished(self, sent: asyncio.Future[FormResponse]) -> None:
        self._busy -= 1
        # Nobody may be waiting any more, and asyncio warns about unretrieved exceptions.
        sent.cancelled() or sent.exception()


def _usable(work: Callable[[], FormResponse]) -> FormResponse:
    """Return a response that says something.

    Raises:
        ProviderDownError: There is none.
    """
    try:
        response = work()
    except Exception as exc:  # noqa: BLE001 - http.client has errors of its own
        raise ProviderDownError(type(exc).__name__) from None  # Messages may quote what was sent.
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR or response.status in BUSY:
        raise ProviderDownError(f"status {response.status}")
    return response
