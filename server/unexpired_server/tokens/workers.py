"""A few threads that do what blocks, in the order in which it comes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from unexpired_server.tokens.forks import renew_after_fork

MAXIMUM_WAITING = 1000
"""How many pieces of work wait for a thread."""

Work = Callable[[], None]


class Workers:
    """Threads that start as they are needed, end when nothing is left to do, and hold up no exit.

    Args:
        maximum: How many there may be.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Begin without threads, which a child process does not have."""
        self._lock = threading.Lock()
        self._waiting: deque[Work] = deque()
        self._count = 0

    def submit(self, work: Work) -> bool:
        """Have something done; return whether it will be.

        Args:
            work: What to do; it raises nothing.
        """
        with self._lock:
            if len(self._waiting) >= MAXIMUM_WAITING or not self._has_thread():
                return False
            self._waiting.append(work)
            return True

    def _has_thread(self) -> bool:
        """Start one more thread if there may be one; return whether there is any."""
        if self._count < self._maximum:
            try:
                threading.Thread(target=self._work, daemon=True).start()
            except RuntimeError:  # The system gives no more.
                return self._count > 0
            self._count += 1
        return True

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._count -= 1
                    return
                work = self._waiting.popleft()
            work()
