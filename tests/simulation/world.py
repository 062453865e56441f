"""One device in virtual time: its tabs, their storage and lock, a network, a server.

Everything random comes from one seed, so the same seed gives the same world. The invariants are
checked at every step; a broken one is recorded as a violation, and the world goes on.
"""

from __future__ import annotations

import asyncio
import random as global_random
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tests.simulation.profile import DAY, Profile
from tests.simulation.server import (
    TOKENS,
    SimulatedServer,
    attempt_in,
    claims_of,
    presented_in,
    session_of,
)
from tests.support.provers import FakeProver
from unexpired import Request
from unexpired.ports import LocalLock
from unexpired.session_record import UnknownRecord, loads
from unexpired.token_response import Tokens

if TYPE_CHECKING:
    from tests.simulation.tab import Tab

EPOCH = 1_800_000_000.0


@dataclass
class Report:
    """What happened in a world.

    Attributes:
        counts: How often each kind of event happened.
        session_days: How many days there was a session.
        violations: The broken invariants.
        unjust: How many sessions ended that nobody had ended.
        trace: A digest of everything that happened, equal for equal worlds.
    """

    counts: Counter[str] = field(default_factory=Counter)
    session_days: float = 0.0
    violations: list[str] = field(default_factory=list)
    unjust: int = 0
    trace: int = 0

    def note(self, *what: object) -> None:
        """Add an event to the trace."""
        self.trace = crc32(repr(what).encode(), self.trace)


@lru_cache(maxsize=256)
def stored_tokens(text: str) -> Tokens:
    """Return the tokens in a stored record."""
    return loads(text).tokens


class World:
    """One world.

    Args:
        seed: Of everything random.
        profile: Its parameters.
        has_locks: Whether its tabs share a lock.
    """

    def __init__(self, seed: int, profile: Profile, *, has_locks: bool = True) -> None:
        # The library draws its jitter from the global generator: it is part of the seed.
        global_random.seed(seed)
        self.random = Random(seed)
        self.profile = profile
        self.has_locks = has_locks
        self.report = Report()
        self.server = SimulatedServer(profile, self.now)
        self.lock = LocalLock()
        self.prover = FakeProver(has_room=seed % 2 == 0)  # All tabs share the keys.
        self.text: str | None = None  # the shared storage
        self.tabs: list[Tab] = []
        self.slept = 0.0
        self.skew = self.random.uniform(-profile.skew, profile.skew)
        self.is_online = True
        self.is_up = True
        self.has_no_faults = False
        self.sleeps = 0
        self.blocked = 0.0  # s for which the event loop stood still, or which it makes up for
        self.in_flight: list[Request] = []  # the refreshes
        self.signed_out: set[str] = set()  # sessions that were signed out on this device
        self.ended_sessions: set[str] = set()  # sessions that were seen to end otherwise
        self.tasks: set[asyncio.Future[Any]] = set()

    # -- Time ----------------------------------------------------------------------------------

    @staticmethod
    def ticks() -> float:
        """Return the monotonic time: it stands still while the machine sleeps."""
        return asyncio.get_running_loop().time()

    def now(self) -> float:
        """Return the true time, in Unix seconds."""
        return EPOCH + self.ticks() + self.slept

    # -- The invariants ------------------------------------------------------------------------

    def violated(self, invariant: str) -> None:
        """Record a broken invariant."""
        self.report.violations.append(f"{invariant} (day {self.ticks() / DAY:.3f})")

    def stored_session(self) -> str | None:
        """Return the id of the session in the storage."""
        try:
            return str(claims_of(stored_tokens(self.text or "").access_token)["sid"])
        except UnknownRecord:
            return None

    def stored(self, text: str | None) -> None:
        """Check what was written to the storage."""
        self.text = text
        session = self.stored_session()
        self.report.note("stored", session)
        if session is not None and session in self.signed_out:
            self.violated("after sign-out no token is stored")

    def ended(self, session: str | None, code: str) -> None:
        """Check that a session which ended was ended by the server."""
        self.report.counts[f"ended: {code}"] += 1
        if session is None or session in self.signed_out or session in self.ended_sessions:
            return
        self.ended_sessions.add(session)
        if self.server.is_alive(session):
            self.report.unjust += 1
            self.violated(f"nobody is signed out unless the server ended the session: {code}")

    def sent(self, request: Request) -> None:
        """Check what is sent as it leaves the device."""
        session = session_of(request)
        self.report.note("sent", request.url, session)
        is_logout = request.url.endswith("/api/logout")
        if session in self.signed_out and not is_logout:
            self.violated("after sign-out no token is sent")
        if request.url.endswith("/api/refresh"):
            presented = stored_tokens(self.text or "").refresh_token
            if presented is None or TOKENS.read(presented) != presented_in(request):
                self.violated("each refresh token is used in order")
            if any(self.is_other_attempt(other, request) for other in self.in_flight):
                self.violated("refreshes that are in flight at once share one attempt")

    @staticmethod
    def is_other_attempt(one: Request, other: Request) -> bool:
        """Return whether two requests refresh the same token, each for itself."""
        same_token = presented_in(one) == presented_in(other)
        return same_token and attempt_in(one) != attempt_in(other)

    def check_reuse(self) -> None:
        """Check that the server took nobody for a thief: there are none in these worlds."""
        for presented in self.server.reused:
            self.report.unjust += 1
            self.violated(f"an honest client is never taken for a thief: {presented.counter}")
        self.server.reused.clear()

    # -- Actions -------------------------------------------------------------------------------

    def start(self, work: Any) -> asyncio.Future[Any]:
        """Start a task."""
        task: asyncio.Future[Any] = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def chance(self, probability: float) -> bool:
        """Return True with this probability; False once all faults have stopped."""
        return not self.has_no_faults and self.random.random() < probability

    def wake(self, *, resume: bool = True) -> None:
        """Wake the visible tabs, as a browser does when the machine or the network is back."""
        for tab in self.tabs:
            if tab.is_visible:
                tab.client.wake(resume=resume)
