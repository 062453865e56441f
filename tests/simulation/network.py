"""The network of a world: it delays, loses, doubles and holds what is sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.simulation.backend import presented_in, reply
from tests.simulation.world import World
from unexpired import Headers, Request, Response, Unreachable

HOLD = 30.0  # s: longer than any client waits for a refresh


@dataclass
class Passage:
    """One request's way through the network and back."""

    world: World
    request: Request
    is_delivered: bool = False

    async def through(self) -> Response:
        """Return the answer.

        Raises:
            Unreachable: if the network lost it.
        """
        world, profile, nap = self.world, self.world.profile, self.world.naps
        try:
            await self._delay()
            if not world.is_online or nap != world.naps or world.chance(profile.drop_request):
                await self._lost("requests lost")
            answer = self._answered()
            await self._delay()
            if not world.is_online or nap != world.naps or world.chance(profile.drop_reply):
                await self._lost("replies lost")
        except asyncio.CancelledError:
            self._strand()
            raise
        self._arrived(answer)
        return answer

    def _answered(self) -> Response:
        world = self.world
        if not world.is_up or world.chance(world.profile.fault):
            world.report.counts["faults"] += 1
            return world.random.choice(FAULTS)
        if world.chance(world.profile.duplicate):
            world.report.counts["duplicates"] += 1
            self._later(world.random.uniform(0, 2))
        self.is_delivered = True
        return world.backend.answer(self.request)

    def _arrived(self, answer: Response) -> None:
        if answer.is_success and self.request.url.endswith("/api/refresh") and self.is_delivered:
            presented = presented_in(self.request)
            self.world.delivered.add((presented.session_id, presented.counter))

    async def _delay(self) -> None:
        world = self.world
        await asyncio.sleep(world.random.expovariate(1 / world.profile.slow))
        if world.chance(world.profile.hang):
            world.report.counts["hangs"] += 1
            await asyncio.sleep(HOLD)

    async def _lost(self, how: str) -> None:
        self.world.report.counts[how] += 1
        if self.world.chance(0.2):
            await asyncio.sleep(HOLD)
        raise Unreachable

    def _strand(self) -> None:
        """The sender gave up or died: what it sent may still arrive, a while later."""
        if not self.is_delivered and self.world.chance(0.5):
            self._later(self.world.random.uniform(0, 20))

    def _later(self, seconds: float) -> None:
        if self.request.url.endswith("/api/refresh"):
            presented = presented_in(self.request)
            self.world.late.add((presented.session_id, presented.counter))
        asyncio.get_running_loop().call_later(seconds, self._arrive_late)

    def _arrive_late(self) -> None:
        if self.world.is_online and self.world.is_up:
            self.world.backend.answer(self.request)


FAULTS = (
    reply(500),
    reply(502),
    Response(503, Headers({"retry-after": "3"})),
    Response(429, Headers({"retry-after": "5"})),
    Response(408),
    Response(200, Headers({"content-type": "text/html"}), b"<html>Welcome to the hotel</html>"),
    Response(403, Headers(), b"<html>Forbidden by the proxy</html>"),
    Response(404),
)
