"""One tab of a world: the real client on simulated ports, and a person's actions in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation.network import RoundTrip
from tests.simulation.server import API
from tests.simulation.world import World
from unexpired import AsyncClient, Request, Response, UnexpiredError
from unexpired.ports import LocalLock, RefreshLock

CALL_BOUND = 30.0  # s: the client's own default
SLACK = 0.001  # s


@dataclass(eq=False)
class Tab:
    """One tab: a real client on this world's ports."""

    world: World
    is_visible: bool = True
    is_dead: bool = False
    session: str | None = None

    def __post_init__(self) -> None:
        # A worker may be where there are no locks, in the same browser.
        has_lock = self.world.has_locks and not self.world.chance(0.1)
        lock: RefreshLock = self.world.lock if has_lock else LocalLock()
        self.client = AsyncClient(
            self,
            store=self,
            lock=lock,
            clock=self,
            prover=self.world.prover,
            is_watched=lambda: self.is_visible,
            tick=self.world.profile.tick,
            base_url=API,
        )
        self.calls: set[asyncio.Future[Any]] = set()
        self.session = self.world.stored_session()
        self.client.on("signed_in", self._holds)
        self.client.on("refreshed", self._holds)
        self.client.on("expired", self._expired)
        self.client.on("signed_out", self._signed_out)
        for event in ("signed_in", "refreshed", "degraded", "recovered"):
            self.client.on(event, lambda event=event: self._count(event))

    def _count(self, event: str) -> None:
        self.world.report.counts[event] += 1
        self.world.report.note(event)

    def _holds(self) -> None:
        self.session = self.world.stored_session()

    def _expired(self, code: str) -> None:
        self.world.ended(self.session, code)

    def _signed_out(self, where: str) -> None:
        if where == "here" and self.session is not None:
            self.world.signed_out.add(self.session)
        self.world.ended(self.session, f"signed out {where}")

    # -- The ports: clock and store ------------------------------------------------------------

    def now(self) -> float:
        return self.world.now() + self.world.skew

    def monotonic(self) -> float:
        return self.world.ticks()

    def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def load(self) -> str | None:
        return self.world.text

    def save(self, text: str) -> None:
        self._write(text)

    def clear(self) -> None:
        self._write(None)

    def _write(self, text: str | None) -> None:
        if self.is_dead:
            return
        self.world.stored(text)
        for tab in self.world.tabs:
            if tab is not self:
                delay = self.world.random.uniform(0.001, 0.05)
                asyncio.get_running_loop().call_later(delay, tab.storage_changed)

    def storage_changed(self) -> None:
        """Receive a storage event."""
        if not self.is_dead:
            self.client.wake()

    # -- The ports: transport ------------------------------------------------------------------

    async def send(self, request: Request) -> Response:
        """Send a request through this world's network."""
        self.world.sent(request)
        if not request.url.endswith("/api/refresh"):
            return await RoundTrip(self.world, request).run()
        self.world.in_flight.append(request)
        try:
            return await RoundTrip(self.world, request).run()
        finally:
            self.world.in_flight.remove(request)

    # -- What a person does --------------------------------------------------------------------

    async def call(self) -> None:
        """Make one call, and check its outcome."""
        world, started = self.world, self.world.ticks() - self.world.blocked
        world.report.counts["calls"] += 1
        try:
            response = await self.client.get("/api/notes")
        except UnexpiredError as error:
            world.report.counts[f"calls: {type(error).__name__}"] += 1
        except Exception as error:  # noqa: BLE001 - the test looks for untyped errors
            world.violated(f"each call ends with a response or a typed error: {error!r}")
        else:
            world.report.counts[f"calls: {response.status_code} {response.code or ''}".strip()] += 1
        if world.ticks() - world.blocked - started > CALL_BOUND + SLACK:
            world.violated("each call ends within its bound")

    def burst(self, calls: int) -> None:
        """Make several calls at once."""
        for _ in range(calls):
            self._start(self.call())

    async def sign_in(self) -> None:
        """Sign in."""
        try:
            await self.client.sign_in("ada", "pw")
        except UnexpiredError:
            self.world.report.counts["sign-ins that failed"] += 1

    async def sign_out(self) -> None:
        """Sign out, a moment later."""
        await asyncio.sleep(self.world.random.uniform(0, 1))
        await self.client.sign_out()

    def do(self, work: Callable[[], Any]) -> None:
        """Start an action of a person."""
        self._start(work())

    def _start(self, work: Any) -> None:
        task = self.world.start(work)
        self.calls.add(task)
        task.add_done_callback(self.calls.discard)

    def kill(self) -> None:
        """Close the tab, whatever it is doing."""
        self.is_dead = True
        self.client.close()
        refreshing, background = self.client._refreshing, self.client._background  # noqa: SLF001
        for task in (*self.calls, refreshing and refreshing.task, *background):  # A crash ends all.
            if task is not None:
                task.cancel()
        self.world.tabs.remove(self)
