"""The public keys at a URL: fetched once for all callers, and kept while the URL is down."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from unexpired_server.errors import Unavailable
from unexpired_server.tokens.jwk_set import KeyTable, keys_in
from unexpired_server.tokens.keys import VerifyingKey

MAXIMUM_AGE = 300.0
"""Seconds after which the keys are fetched again when the response does not say; so long a
retired key still works."""

AGES = (10.0, 3600.0)
"""The bounds, in seconds, of what a response's ``max-age`` or ``Retry-After`` may ask for."""

MINIMUM_PAUSE = 10.0
"""Seconds between two fetches, so that invalid tokens cannot make this service send requests."""

FIRST_PAUSE = 1.0
"""The same while no keys are known, because nothing works until they are."""

WAIT = 5.0
"""Seconds that a caller waits for keys that it cannot do without."""

SOCKET_TIMEOUT = 5.0
FETCH_TIMEOUT = 15.0
MAXIMUM_BYTES = 64 * 1024
CHUNK = 8 * 1024

MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
NO_CACHE = re.compile(r"(?:^|[\s,])no-(?:cache|store)\b", re.IGNORECASE)

logger: logging.Logger = logging.getLogger("unexpired.server")


@dataclass(frozen=True)
class Document:
    """A fetched JWK set.

    Attributes:
        content: The body.
        headers: The response's headers, of which ``Cache-Control`` is used.
    """

    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class RetryLaterError(OSError):
    """The URL asks for a pause.

    Args:
        seconds: How long.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__("the URL of the keys asks for a pause")
        self.seconds = seconds


Fetch = Callable[[str], Awaitable[bytes | Document]]


class RemoteKeys:
    """The keys at one URL.

    Args:
        address: The URL.
        algorithms: The algorithms that are accepted.
        now: The clock, in Unix seconds.
        fetch: Gets the document.
    """

    def __init__(
        self, address: str, algorithms: Collection[str], now: Callable[[], float], fetch: Fetch
    ) -> None:
        self._address = address
        self._algorithms = algorithms
        self._now = now
        self._fetch = fetch
        self._content: bytes | None = None
        self._table: KeyTable | None = None
        self._tried_at = -math.inf
        self._next_in = 0.0
        self._pause = MINIMUM_PAUSE
        self._fetching: asyncio.Task[None] | None = None
        self.has_failed: bool = False

    def find(self, kid: object, alg: object) -> VerifyingKey | None:
        """Return the key with this id and algorithm, if the URL lists it."""
        if self._table is None or not isinstance(kid, str) or not isinstance(alg, str):
            return None
        return self._table.get((kid, alg))

    async def ready(self) -> None:
        """Return at once when keys are known, and fetch aged ones in the background.

        Raises:
            Unavailable: No keys are known yet, and the URL did not give any in time.
        """
        if self._is_due(self._next_in):
            self._start()
        if self._table is None:
            await self._wait()
        if self._table is None:
            raise Unavailable

    async def look_again(self) -> None:
        """Fetch the keys again, unless that was done a moment ago; wait for a running fetch."""
        if self._is_due(self._pause):
            self._start()
        await self._wait()

    def _is_due(self, seconds: float) -> bool:
        # A clock that was set back must not stop the fetches.
        return not 0 <= self._now() - self._tried_at < seconds

    def _start(self) -> None:
        if not self._is_fetching():
            self._tried_at = self._now()
            self._fetching = asyncio.create_task(self._refresh())

    def _is_fetching(self) -> bool:
        running, task = asyncio.get_running_loop(), self._fetching
        # A task of a loop that has ended will never be done.
        return task is not None and task.get_loop() is running and not task.done()

    async def _wait(self) -> None:
        if self._fetching is not None and self._is_fetching():
            # Not cancelled with its caller: others wait for it too.
            done, _ = await asyncio.wait({self._fetching}, timeout=WAIT)
            self.has_failed = self.has_failed or not done

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                fetched = await self._fetch(self._address)
            document = Document(fetched) if isinstance(fetched, bytes) else fetched
            self._take(document)
        except Exception as exc:  # noqa: BLE001 - whatever it was, the present keys stay in use
            self.has_failed = True
            self._next_in = FIRST_PAUSE if self._table is None else MINIMUM_PAUSE
            self._pause = self._next_in
            if isinstance(exc, RetryLaterError):
                self._next_in = self._pause = _bounded(exc.seconds)
            logger.warning("the public keys could not be fetched (%s)", type(exc).__name__)

    def _take(self, document: Document) -> None:
        if document.content != self._content:  # The cache of tokens holds the key objects.
            self._table = keys_in(document.content, self._algorithms)
            self._content = document.content
        self._next_in, self._pause = _freshness(document.headers), MINIMUM_PAUSE
        self.has_failed = False


def _freshness(headers: Mapping[str, str]) -> float:
    """Return for how many seconds a response is fresh (RFC 9111, section 4.2.1), in our bounds."""
    control = {name.lower(): value for name, value in headers.items()}.get("cache-control", "")
    if NO_CACHE.search(control):
        return AGES[0]
    found = MAX_AGE.search(control)
    return _bounded(float(found[1])) if found else MAXIMUM_AGE


def _bounded(seconds: float) -> float:
    return min(max(seconds, AGES[0]), AGES[1])


async def fetch_document(address: str) -> Document:
    """Fetch a document with the standard library, in a thread.

    Raises:
        ValueError: The URL is not http or https, or the document is too large.
        OSError: There is no good response.
    """
    if not address.startswith(("https://", "http://")):
        raise ValueError("the URL of the keys must be http or https")
    return await asyncio.to_thread(_get, address)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: the keys of another address are another issuer's."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Follow none, so that the response is an error."""


def _get(address: str) -> Document:
    opener, until = urllib.request.build_opener(_NoRedirect), time.monotonic() + FETCH_TIMEOUT
    try:
        with opener.open(address, timeout=SOCKET_TIMEOUT) as response:
            content = b""
            while chunk := response.read1(CHUNK):
                content += chunk
                if len(content) > MAXIMUM_BYTES or time.monotonic() > until:
                    raise ValueError("too large or too slow for a JWK set")
            return Document(content, dict(response.headers))
    except urllib.error.HTTPError as exc:
        raise _refusal(exc) from None


def _refusal(exc: urllib.error.HTTPError) -> OSError:
    asks = exc.code in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
    seconds = exc.headers.get("Retry-After", "").strip() if asks else ""
    exc.close()
    if seconds.isascii() and seconds.isdecimal() and len(seconds) < 10:  # noqa: PLR2004 - ages
        return RetryLaterError(float(seconds))
    return OSError(f"the URL of the keys answered {exc.code}")
