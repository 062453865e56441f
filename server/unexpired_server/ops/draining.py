"""The time between the signal to stop and the stop, in which others learn of it."""

from __future__ import annotations


class Draining:
    """Whether this process is about to stop, and should get no new clients.

    ``/readyz`` says so, and a load balancer then sends requests elsewhere. ``ops.server`` begins
    it; under another ASGI server, whatever handles its signals may.
    """

    def __init__(self) -> None:
        self._has_begun = False

    def begin(self) -> None:
        """Say that this process is about to stop."""
        self._has_begun = True

    def __call__(self) -> bool:
        """Return whether this process is about to stop."""
        return self._has_begun

    async def problem(self) -> str | None:
        """Return in a sentence that this process is about to stop, or None."""
        return "This server is about to stop." if self._has_begun else None
