"""A clock for the server and for the client that only a test moves."""

from __future__ import annotations

from dataclasses import dataclass

START = 1_800_000_000.0
"""The time at which every test begins, in Unix seconds."""


@dataclass
class FakeClock:
    """The server's clock, which is a function, and the client's ``Clock`` port in one.

    Args:
        wall: The time of day, in Unix seconds.
        ticks: The monotonic time, in seconds.
    """

    wall: float = START
    ticks: float = 0.0

    def __call__(self) -> float:
        """Return the time of day, as the server asks for it."""
        return self.wall

    def now(self) -> float:
        """Return the time of day, as the client asks for it."""
        return self.wall

    def monotonic(self) -> float:
        """Return a time that no change of the time of day affects."""
        return self.ticks

    def sleep(self, seconds: float) -> None:
        """Advance instead of waiting."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += seconds
        self.ticks += seconds
