"""Runs several workers on one socket: restarts those that die, and ends with all of them.

Uvicorn's own supervisor kills workers that start slowly, restarts dying ones without a pause, and
ends with success when one cannot start. This one:

- gives a worker all the time that it needs to start;
- ends with an error if a worker cannot start before any has served; later it tries again, so that
  an outage of the database does not end the workers that verify tokens;
- waits before it restarts a worker, longer each time, up to half a minute;
- replaces a worker whose event loop stands still for a minute.

A worker and the supervisor share a pair of sockets, the lifeline. The worker writes a byte every
second. At its end, however the supervisor ended, the worker stops as well.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import allow_connection_pickling, get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType

from uvicorn.config import STARTUP_FAILURE

ALIVE = b"."

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds before a worker is started again: the first time, and at most."""

STABLE_SECONDS = 60.0
"""A worker that served for so long has the first pause again."""

HUNG_SECONDS = 60.0
"""A worker whose event loop stands still for so long is replaced."""

logger: logging.Logger = logging.getLogger("unexpired.server")

Work = Callable[["Lifeline"], None]
"""What a worker does; it calls the lifeline's methods, and can be pickled."""


class Lifeline:
    """A worker's end of its connection to the supervisor.

    Args:
        connection: The worker's end.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def beat(self) -> None:
        """Tell the supervisor that this worker serves; never waits."""
        with suppress(OSError):  # It may have ended, or be stopped.
            self._connection.send(ALIVE, socket.MSG_DONTWAIT)

    def when_cut(self, stop: Callable[[], None]) -> None:
        """Call a function in another thread when the supervisor has ended."""

        def watch() -> None:
            with suppress(OSError):
                while self._connection.recv(1):
                    pass
            stop()

        threading.Thread(target=watch, name="lifeline", daemon=True).start()


@dataclass
class _Worker:
    process: BaseProcess
    connection: socket.socket
    deaths: int
    """How many before it, in its place, died soon after their start."""
    started_at: float = field(default_factory=time.monotonic)
    serving_since: float | None = None
    beat_at: float = 0.0

    def is_hung(self, now: float) -> bool:
        return self.serving_since is not None and now - self.beat_at > HUNG_SECONDS


class Supervisor:
    """Runs workers until a signal.

    Args:
        work: What each worker does.
        number: How many workers there are.
        ready: Called once, when the first worker serves.
        stop_seconds: How long workers may take to stop.
    """

    def __init__(
        self, work: Work, number: int, ready: Callable[[], None], stop_seconds: float
    ) -> None:
        self._work = work
        self._number = number
        self._ready = ready
        self._stop_seconds = stop_seconds
        self._workers: list[_Worker] = []
        self._due: list[tuple[float, int]] = [(0.0, 0)] * number
        """When to start a worker, and the deaths in its place before."""
        self._has_served = False
        self._stops_until: float | None = None
        self._exit_code = 0
        self._signals: list[int] = []
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)  # noqa: FBT003 - its only parameter
        self._waker.setblocking(False)  # noqa: FBT003

    def run(self) -> int:
        """Run until all workers have ended; return the exit code."""
        allow_connection_pickling()
        signal.signal(signal.SIGINT, self._note_signal)
        signal.signal(signal.SIGTERM, self._note_signal)
        while self._workers or self._stops_until is None:
            if self._stops_until is None:
                self._start_what_is_due()
            self._wait()
            for sig in self._take_signals():
                self._stop(sig)
            for worker in list(self._workers):
                self._look_at(worker)
        self._woken.close()
        self._waker.close()
        return self._exit_code

    def _note_signal(self, sig: int, _frame: FrameType | None) -> None:
        self._signals.append(sig)
        with suppress(OSError):
            self._waker.send(ALIVE)

    def _take_signals(self) -> list[int]:
        with suppress(BlockingIOError):
            self._woken.recv(1000)
        taken, self._signals = self._signals, []
        return taken

    def _wait(self) -> None:
        """Wait until a worker writes or ends, a signal arrives, or a second has passed."""
        sentinels = [worker.process.sentinel for worker in self._workers]
        lifelines = [worker.connection for worker in self._workers]
        pause = min([1.0, *(at - time.monotonic() for at, _ in self._due)])
        wait([self._woken, *lifelines, *sentinels], timeout=max(0.0, pause))

    def _start_what_is_due(self) -> None:
        now = time.monotonic()
        due = [deaths for at, deaths in self._due if at <= now]
        self._due = [(at, deaths) for at, deaths in self._due if at > now]
        for deaths in due:
            ours, theirs = socket.socketpair()
            process = get_context("spawn").Process(target=self._work, args=(Lifeline(theirs),))
            process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours, deaths))

    def _stop(self, sig: int) -> None:
        if self._stops_until is not None:
            for worker in self._workers:
                worker.process.kill()
            return
        self._stops_until = time.monotonic() + self._stop_seconds
        for worker in self._workers:
            if sig == signal.SIGTERM:
                worker.process.terminate()
            else:  # At once. A terminal sends SIGINT to the workers as well.
                worker.connection.shutdown(socket.SHUT_WR)

    def _look_at(self, worker: _Worker) -> None:
        self._read(worker)
        now = time.monotonic()
        if self._stops_until is not None and now > self._stops_until:
            worker.process.kill()
        elif self._stops_until is None and worker.is_hung(now):
            logger.error("worker %s stands still: it is replaced", worker.process.pid)
            worker.process.kill()
        if worker.process.exitcode is not None:
            self._workers.remove(worker)
            worker.connection.close()
            worker.process.join()
            if self._stops_until is None:
                self._replace(worker, worker.process.exitcode)

    def _read(self, worker: _Worker) -> None:
        with suppress(OSError):
            if worker.connection.recv(1000, socket.MSG_DONTWAIT):
                worker.beat_at = time.monotonic()
                worker.serving_since = worker.serving_since or worker.beat_at
                if not self._has_served:
                    self._has_served = True
                    self._ready()

    def _replace(self, worker: _Worker, exit_code: int) -> None:
        if exit_code > 0 and not self._has_served:
            logger.error("worker %s cannot start: the server stops", worker.process.pid)
            self._exit_code = STARTUP_FAILURE
            self._stop(signal.SIGTERM)
            return
        served = time.monotonic() - (worker.serving_since or time.monotonic())
        deaths = 0 if served >= STABLE_SECONDS else worker.deaths
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**deaths)
        logger.warning(
            "worker %s ended (exit code %s): another one starts in %s s",
            worker.process.pid,
            exit_code,
            pause,
        )
        self._due.append((time.monotonic() + pause, min(deaths + 1, 10)))
