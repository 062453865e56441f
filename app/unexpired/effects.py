"""What a flow asks its driver to do: send, sleep, refresh.

A flow yields an effect and is sent its outcome, or has an error thrown into it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from typing import Any

from unexpired.messages import Request, Response
from unexpired.proofs import Proof
from unexpired.session_record import Generation


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request; the outcome is its Response, or Unreachable after ``timeout`` seconds.

    With a proof, the request is signed first; the outcome is KeyLost if the key is gone.
    """

    request: Request
    timeout: float | None = None
    proof: Proof | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for ``seconds``, or until something wakes the client, unless it must not be woken.

    It is woken when the network is back, the page becomes visible, or another tab stored something.
    """

    seconds: float
    is_wakeable: bool = True


@dataclass(frozen=True, slots=True)
class Refresh:
    """Make the session newer than the generation, waiting ``within`` seconds for it.

    If it is newer already, nothing happens: a late 401 never causes a second refresh.
    """

    stale: Generation
    within: float


Effect = Send | Sleep | Refresh
Flow = Generator[Effect, Any, Response]
Wait = Generator[Effect, Any, None]

Exchange = Callable[[Request], Generator[Send, Response, Response]]
"""Makes a request within a session; the caller sends what it yields."""

AsyncExchange = Callable[[Request], AsyncGenerator[Send, Response]]
"""``Exchange`` for a caller that awaits."""
