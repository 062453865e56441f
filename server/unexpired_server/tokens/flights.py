"""Fetches in the background, for which coroutines and threads wait alike.

A generator says what to fetch: it yields addresses and is sent their documents, so the same steps
run in a thread and in an event loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future, wait
from contextlib import suppress

from unexpired_server.tokens.documents import FETCH_TIMEOUT, Document, get_document

Fetch = Callable[[str], Awaitable[bytes | Document]]
Steps = Generator[str, Document, None]

LONGEST = 3 * FETCH_TIMEOUT
"""Seconds after which a fetch is given up; a resolver or a socket may block for longer."""


class Pending:
    """What runs in the background once, for all that wait for it."""

    def __init__(self) -> None:
        self._started_at = time.monotonic()
        self._done: Future[None] = Future()

    @property
    def has_ended(self) -> bool:
        """Whether nothing runs any more."""
        return self._done.done()

    @property
    def is_awaited(self) -> bool:
        """Whether it runs, and its result can still be expected."""
        return not self.has_ended and self.age < LONGEST

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._started_at

    def end(self) -> None:
        """Wake all that wait."""
        self._done.set_result(None)

    def wait(self, seconds: float) -> bool:
        """Block until it is done, or it is older than some seconds; return whether it is done.

        So that a URL that hangs holds up the first callers, and not each one after them.
        """
        return bool(wait({self._done}, self._rest(seconds)).done)

    async def wait_async(self, seconds: float) -> bool:
        """Wait until it is done, or it is older than some seconds; return whether it is done.

        A caller that is cancelled does not cancel it: others wait for it too.
        """
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def wake(_: object) -> None:
            with suppress(RuntimeError):  # The loop may have been closed in the meantime.
                loop.call_soon_threadsafe(done.set)

        self._done.add_done_callback(wake)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._rest(seconds)):
                await done.wait()
        return done.is_set()

    def _rest(self, seconds: float) -> float:
        return max(0.0, seconds - self.age)


class Flight(Pending):
    """Steps that run to their end, also when nobody waits for them any more.

    Args:
        steps: What to fetch.
        fetch: Gets a document; when None, the standard library does.
        in_loop: Call ``fetch`` in the running event loop. Everything else runs in a thread, which
            does not keep a program from ending.

    Raises:
        RuntimeError: No thread can be started.
    """

    def __init__(self, steps: Steps, fetch: Fetch | None, *, in_loop: bool) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop() if fetch and in_loop else None
        self._task: asyncio.Task[None] | None = None  # A loop holds tasks only weakly.
        if fetch and self._loop:
            self._task = self._loop.create_task(self._run(steps, fetch))
        else:
            get = _in_loop_of_its_own(fetch) if fetch else get_document
            threading.Thread(target=self._block, args=(steps, get), daemon=True).start()

    @property
    def has_ended(self) -> bool:
        """Whether nothing runs any more; a task of a loop that has stopped never ends by itself."""
        return super().has_ended or (self._loop is not None and not self._loop.is_running())

    def wait(self, seconds: float) -> bool:
        """Block until it is done, or it is older than some seconds; return whether it is done."""
        # It cannot go on while its own event loop is blocked by this very call.
        is_blocked = self._loop is not None and self._loop is _running_loop()
        return super().wait(0.0 if is_blocked else seconds)

    def _block(self, steps: Steps, get: Callable[[str], Document]) -> None:
        try:
            with suppress(StopIteration):
                address = next(steps)
                while True:
                    try:
                        document = get(address)
                    except Exception as exc:  # noqa: BLE001 - the steps decide
                        address = steps.throw(exc)
                    else:
                        address = steps.send(document)
        finally:
            self.end()

    async def _run(self, steps: Steps, fetch: Fetch) -> None:
        try:
            with suppress(StopIteration):
                address = next(steps)
                while True:
                    try:
                        document = await _fetched(address, fetch)
                    except Exception as exc:  # noqa: BLE001 - the steps decide
                        address = steps.throw(exc)
                    else:
                        address = steps.send(document)
        finally:
            self.end()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _fetched(address: str, fetch: Fetch) -> Document:
    async with asyncio.timeout(FETCH_TIMEOUT):
        fetched = await fetch(address)
    return Document(fetched) if isinstance(fetched, bytes) else fetched


def _in_loop_of_its_own(fetch: Fetch) -> Callable[[str], Document]:
    return lambda address: asyncio.run(_fetched(address, fetch))
