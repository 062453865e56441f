"""The public keys at a URL: fetched once for all callers, and kept while the URL is down."""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Collection
from typing import Protocol
from weakref import WeakSet

from unexpired_server.errors import Unavailable
from unexpired_server.tokens.discovery import Address, spoken
from unexpired_server.tokens.documents import (
    Document,
    RetryLaterError,
    WrongDocumentError,
    bounded,
)
from unexpired_server.tokens.flights import Fetch, Flight, Steps
from unexpired_server.tokens.jwk_set import KeySet, keys_in
from unexpired_server.tokens.keys import VerifyingKey

MINIMUM_PAUSE = 10.0
"""Seconds between two fetches, so that invalid tokens cannot make this service send requests."""

FIRST_PAUSE = 1.0
"""The same while no keys are known, because nothing works until they are."""

WAIT = 5.0
"""Seconds that a caller waits for keys that it cannot do without."""

MAXIMUM_FLIGHTS = 3
"""How many fetches may hang at once: the first ones in what no timeout reaches."""

logger: logging.Logger = logging.getLogger("unexpired.server")


class Source(Protocol):
    """Where the address of the keys comes from."""

    def steps(self, *, again: bool) -> Address:
        """Return the address; yield those of the documents that are needed for it."""
        ...


class RemoteKeys:
    """The keys at one URL, for coroutines and threads.

    Args:
        source: The URL, or how to find it.
        algorithms: The algorithms that are accepted.
        now: The clock, in Unix seconds.
        fetch: Gets a document; when None, the standard library does in a thread.
    """

    def __init__(
        self,
        source: Source,
        algorithms: Collection[str],
        now: Callable[[], float],
        fetch: Fetch | None,
    ) -> None:
        self._source = source
        self._algorithms = algorithms
        self._now = now
        self._fetch = fetch
        self._content: bytes | None = None
        self._keys: KeySet | None = None
        self._tried_at = -math.inf
        self._next_in = 0.0
        self._pause = MINIMUM_PAUSE
        self._logged = ""
        self.has_failed: bool = False
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._flights: list[Flight] = []
        _ALL.add(self)

    def find(self, kid: object, alg: object) -> VerifyingKey | None:
        """Return the key with this id and algorithm, if the URL lists it."""
        return None if self._keys is None else self._keys.find(kid, alg)

    # -- For coroutines ------------------------------------------------------------------------

    async def ready(self) -> None:
        """Return at once when keys are known, and fetch aged ones in the background.

        Raises:
            Unavailable: No keys are known yet, and the URL did not give any in time.
        """
        flight = self._refresh_aged(in_loop=True)
        if self._keys is None and flight is not None:
            self._note(is_in_time=await flight.wait_async(WAIT))
        self._check()

    async def look_again(self) -> None:
        """Fetch the keys again, unless that was done a moment ago; wait for a running fetch."""
        flight = self._refresh(lambda: self._pause, again=True, in_loop=True)
        if flight is not None:
            self._note(is_in_time=await flight.wait_async(WAIT))

    # -- For threads ---------------------------------------------------------------------------

    def ready_sync(self) -> None:
        """Do as ``ready`` does, and block where that waits.

        Raises:
            Unavailable: No keys are known yet, and the URL did not give any in time.
        """
        flight = self._refresh_aged(in_loop=False)
        if self._keys is None and flight is not None:
            self._note(is_in_time=flight.wait(WAIT))
        self._check()

    def look_again_sync(self) -> None:
        """Do as ``look_again`` does, and block where that waits."""
        flight = self._refresh(lambda: self._pause, again=True, in_loop=False)
        if flight is not None:
            self._note(is_in_time=flight.wait(WAIT))

    # -- What both do --------------------------------------------------------------------------

    def _check(self) -> None:
        if self._keys is None:
            raise Unavailable

    def _note(self, *, is_in_time: bool) -> None:
        self.has_failed = self.has_failed or not is_in_time

    def _refresh_aged(self, *, in_loop: bool) -> Flight | None:
        # Without the lock, for this runs with every token; with it, it is looked at again.
        if self._keys is not None and not self._is_due(self._next_in):
            return None
        return self._refresh(lambda: self._next_in, again=False, in_loop=in_loop)

    def _refresh(self, pause: Callable[[], float], *, again: bool, in_loop: bool) -> Flight | None:
        """Return the fetch that runs; start one if none does and the pause is over."""
        with self._lock:
            if self._flight is not None and self._flight.is_awaited:
                return self._flight
            self._flight = None
            if self._is_due(pause()):
                self._start(again=again, in_loop=in_loop)
            return self._flight

    def _start(self, *, again: bool, in_loop: bool) -> None:
        self._flights = [one for one in self._flights if not one.has_ended]
        self._tried_at = self._now()
        if len(self._flights) >= MAXIMUM_FLIGHTS:
            self._fail(TimeoutError())
            return
        try:
            self._flight = Flight(self._steps(again=again), self._fetch, in_loop=in_loop)
        except RuntimeError as exc:  # The system gives no more threads.
            self._fail(exc)
        else:
            self._flights.append(self._flight)

    def _is_due(self, seconds: float) -> bool:
        # A clock that was set back must not stop the fetches.
        return not 0 <= self._now() - self._tried_at < seconds

    def _steps(self, *, again: bool) -> Steps:
        try:
            address = yield from self._source.steps(again=again or self.has_failed)
            self._take((yield address))
        except Exception as exc:  # noqa: BLE001 - whatever it was, the present keys stay in use
            self._fail(exc)

    def _take(self, document: Document) -> None:
        if document.content != self._content:  # The cache of tokens holds the key objects.
            self._keys = _keys_in(document, self._algorithms)
            self._content = document.content
        self._next_in, self._pause = document.fresh_for, MINIMUM_PAUSE
        self.has_failed = False
        self._logged = ""

    def _fail(self, exc: Exception) -> None:
        self.has_failed = True
        self._next_in = FIRST_PAUSE if self._keys is None else MINIMUM_PAUSE
        self._pause = self._next_in
        if isinstance(exc, RetryLaterError):
            self._next_in = self._pause = bounded(exc.seconds)
        if self._logged != spoken(exc):  # The same once a second would hide the rest of the log.
            self._logged = spoken(exc)
            logger.warning("the public keys could not be fetched (%s)", self._logged)

    def after_fork(self) -> None:
        """Forget the parent's threads and locks, which a child process does not have."""
        if self._flight is not None:
            self._tried_at = -math.inf
        self._lock, self._flight, self._flights = threading.Lock(), None, []


def _keys_in(document: Document, algorithms: Collection[str]) -> KeySet:
    try:
        return keys_in(document.content, algorithms)
    except ValueError:
        raise WrongDocumentError("the document is no JWK set") from None


_ALL: WeakSet[RemoteKeys] = WeakSet()


def _after_fork() -> None:
    for keys in _ALL:
        keys.after_fork()


if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(after_in_child=_after_fork)
