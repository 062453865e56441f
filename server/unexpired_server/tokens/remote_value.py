"""What another server publishes at a URL, kept in memory while that server is slow or down."""

from __future__ import annotations

import logging
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator

from unexpired_server.errors import Unavailable
from unexpired_server.tokens.discovery import spoken
from unexpired_server.tokens.documents import Document, RetryLaterError, bounded
from unexpired_server.tokens.flights import Fetch, Flight, Steps
from unexpired_server.tokens.forks import renew_after_fork

MINIMUM_PAUSE = 10.0
"""Seconds between two fetches, so that invalid tokens cannot make this service send requests."""

FIRST_PAUSE = 1.0
"""The same while nothing is known, because nothing works until it is."""

WAIT = 5.0
"""Seconds that a caller waits for what it cannot do without."""

MAXIMUM_FLIGHTS = 3
"""How many fetches may hang at once: the first ones in what no timeout reaches."""

logger: logging.Logger = logging.getLogger("unexpired.server")


class RemoteValue(ABC):
    """A value from a URL: fetched once for all callers, coroutines and threads, as it ages.

    Args:
        name: What it is, for the log.
        now: The clock, in Unix seconds.
        fetch: Gets a document; when None, the standard library does in a thread.

    Attributes:
        has_failed: Whether the last fetch did.
    """

    def __init__(self, name: str, now: Callable[[], float], fetch: Fetch | None) -> None:
        self._name = name
        self._now = now
        self._fetch = fetch
        self._tried_at = -math.inf
        self._next_in = 0.0
        self._pause = MINIMUM_PAUSE
        self._logged = ""
        self.has_failed: bool = False
        self._lock = threading.Lock()
        self._flight: Flight | None = None
        self._flights: list[Flight] = []
        renew_after_fork(self)

    @property
    @abstractmethod
    def is_known(self) -> bool:
        """Whether there is a value, be it an old one."""

    @abstractmethod
    def read(self, *, again: bool) -> Generator[str, Document, float]:
        """Take the value; yield the addresses that are needed, return how long it is fresh.

        Args:
            again: Use nothing that was read before.
        """

    # -- For coroutines ------------------------------------------------------------------------

    async def ready(self) -> None:
        """Return at once when a value is known, and fetch an aged one in the background.

        Raises:
            Unavailable: No value is known yet, and the URL did not give it in time.
        """
        flight = self._refresh_aged(in_loop=True)
        if not self.is_known and flight is not None:
            self._note(is_in_time=await flight.wait_async(WAIT))
        self._check()

    async def look_again(self) -> None:
        """Fetch the value again, unless that was done a moment ago; wait for a running fetch."""
        flight = self._refresh(lambda: self._pause, again=True, in_loop=True)
        if flight is not None:
            self._note(is_in_time=await flight.wait_async(WAIT))

    # -- For threads ---------------------------------------------------------------------------

    def ready_sync(self) -> None:
        """Do as ``ready`` does, and block where that waits.

        Raises:
            Unavailable: No value is known yet, and the URL did not give it in time.
        """
        flight = self._refresh_aged(in_loop=False)
        if not self.is_known and flight is not None:
            self._note(is_in_time=flight.wait(WAIT))
        self._check()

    def look_again_sync(self) -> None:
        """Do as ``look_again`` does, and block where that waits."""
        flight = self._refresh(lambda: self._pause, again=True, in_loop=False)
        if flight is not None:
            self._note(is_in_time=flight.wait(WAIT))

    # -- What both do --------------------------------------------------------------------------

    def _check(self) -> None:
        if not self.is_known:
            raise Unavailable

    def _note(self, *, is_in_time: bool) -> None:
        self.has_failed = self.has_failed or not is_in_time

    def _refresh_aged(self, *, in_loop: bool) -> Flight | None:
        # Without the lock, for this runs with every token; with it, it is looked at again.
        if self.is_known and not self._is_due(self._next_in):
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
            self._next_in = yield from self.read(again=again or self.has_failed)
        except Exception as exc:  # noqa: BLE001 - whatever it was, the present value stays in use
            self._fail(exc)
        else:
            self._pause, self.has_failed, self._logged = MINIMUM_PAUSE, False, ""

    def _fail(self, exc: Exception) -> None:
        self.has_failed = True
        self._next_in = FIRST_PAUSE if not self.is_known else MINIMUM_PAUSE
        self._pause = self._next_in
        if isinstance(exc, RetryLaterError):
            self._next_in = self._pause = bounded(exc.seconds)
        if self._logged != spoken(exc):  # The same once a second would hide the rest of the log.
            self._logged = spoken(exc)
            logger.warning("%s could not be fetched (%s)", self._name, self._logged)

    def after_fork(self) -> None:
        """Forget the parent's threads and locks, which a child process does not have."""
        if self._flight is not None:
            self._tried_at = -math.inf
        self._lock, self._flight, self._flights = threading.Lock(), None, []
