"""The network of a world: it delays, loses, duplicates and holds requests and responses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.simulation.server import json_response
from tests.simulation.world import World
from unexpired import Headers, Request, Response, Unreachable

HOLDS = (5.0, 30.0, 300.0)  # s: the last is longer than any timer of the client
FAST = 0.2  # s: the mean delay of a network without faults
TURNS = 4  # of the event loop, from when a response is there until it is read


@dataclass
class RoundTrip:
    """One request's way to the server, and its response's way back."""

    world: World
    request: Request
    is_delivered: bool = False

    async def run(self) -> Response:
        """Return the response.

        Raises:
            Unreachable: The network lost the request or the response.
        """
        world, profile, sleeps = self.world, self.world.profile, self.world.sleeps
        try:
            await self._delay()
            if not world.is_online or sleeps != world.sleeps or world.chance(profile.drop_request):
                await self._lost("requests lost")
            response = self._respond()
            await self._delay()
            for _ in range(TURNS):  # After a blocked loop, timers come first.
                await asyncio.sleep(0)
            if not world.is_online or sleeps != world.sleeps or world.chance(profile.drop_response):
                await self._lost("responses lost")
        except asyncio.CancelledError:
            self._maybe_deliver_late()
            raise
        return response

    def _respond(self) -> Response:
        world = self.world
        if not world.is_up or world.chance(world.profile.fault):
            world.report.counts["faults"] += 1
            return world.random.choice(FAULTS)
        if world.chance(world.profile.duplicate):
            world.report.counts["duplicates"] += 1
            self._deliver_later(world.random.uniform(0, 2))
        self.is_delivered = True
        return world.server.respond(self.request)

    async def _delay(self) -> None:
        world = self.world
        slow = FAST if world.has_no_faults else world.profile.slow
        await asyncio.sleep(world.random.expovariate(1 / slow))
        if world.chance(world.profile.hang):
            world.report.counts["hangs"] += 1
            await asyncio.sleep(world.random.choice(HOLDS))

    async def _lost(self, how: str) -> None:
        self.world.report.counts[how] += 1
        if self.world.chance(0.2):
            await asyncio.sleep(self.world.random.choice(HOLDS))
        raise Unreachable

    def _maybe_deliver_late(self) -> None:
        """The client timed out or its tab was killed: the request may still arrive later."""
        if not self.is_delivered and self.world.chance(0.5):
            self._deliver_later(self.world.random.uniform(0, 20))

    def _deliver_later(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._deliver)

    def _deliver(self) -> None:
        if self.world.is_online and self.world.is_up:
            self.world.server.respond(self.request)


FAULTS = (
    json_response(500),
    json_response(502),
    Response(503, Headers({"retry-after": "3"})),
    Response(429, Headers({"retry-after": "5"})),
    Response(408),
    Response(200, Headers({"content-type": "text/html"}), b"<html>Welcome to the hotel</html>"),
    Response(403, Headers(), b"<html>Forbidden by the proxy</html>"),
    Response(404),
)
