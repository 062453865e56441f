"""What a forked process must make again: its parent's threads and held locks are not there."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Something with threads and locks."""

    def after_fork(self) -> None:
        """Forget the parent's threads and locks, in the child process."""
        ...


def renew_after_fork(one: Forkable) -> None:
    """Have ``after_fork`` called in each process that is forked, while the object lives."""
    _ALL.add(one)


_ALL: WeakSet[Forkable] = WeakSet()


def _after_fork() -> None:
    for one in _ALL:
        one.after_fork()


if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(after_in_child=_after_fork)
