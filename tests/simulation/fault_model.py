"""What happens to a device: people act, machines sleep, networks and servers fail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from tests.simulation.profile import DAY, HOUR, MINUTE, Profile
from tests.simulation.tab import CALL_BOUND, Tab
from tests.simulation.world import Report, World
from tests.support.virtual_loop import VirtualLoop, run
from unexpired import Unreachable
from unexpired.timers import STEPS

FORGIVEN = CALL_BOUND / STEPS  # s: a timeout repeats the step in which the loop stood still


class FaultModel:
    """Draws events for a device until the world's days are over; then all faults stop."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.events: tuple[tuple[float, Callable[[], None]], ...] = (
            (50, self.call),
            (8, self.show),
            (8, self.hide),
            (5, self.open_tab),
            (3, self.close_tab),
            (6, self.sleep),
            (6, self.disconnect),
            (3, self.stop_server),
            (2, self.set_clock),
            (world.profile.trouble, self.leap_and_return),
            (world.profile.trouble, self.block_the_loop),
            (world.profile.trouble, self.stall_with_the_lock),
            (world.profile.trouble, self.damage_the_record),
            (world.profile.trouble, self.restore_the_database),
            (world.profile.sign_outs, self.sign_out),
            (0.3, self.revoke),
        )

    async def run(self) -> None:
        """Run the world's days, stop all faults, and check that the session recovers."""
        world = self.world
        weights, events = zip(*self.events, strict=True)
        end = world.now() + world.profile.days * DAY
        before = world.now()
        self.open_tab()
        while world.now() < end:
            await asyncio.sleep(world.random.expovariate(1 / world.profile.pace))
            if world.stored_session() is not None:
                world.report.session_days += (world.now() - before) / DAY
            before = world.now()
            world.random.choices(events, weights)[0]()
            self.keep_in_use()
            world.check_reuse()
        await self.recover()

    def keep_in_use(self) -> None:
        """Keep at least one tab open; sign in again, with some probability."""
        world = self.world
        if not world.tabs:
            self.open_tab()
        if world.stored_session() is None and world.random.random() < 0.7:
            tab = world.random.choice(world.tabs)
            if not tab.calls:
                tab.do(tab.sign_in)

    async def recover(self) -> None:
        """Stop all faults: a session that the server has not ended must become active."""
        world = self.world
        world.has_no_faults, world.is_online, world.is_up = True, True, True
        for tab in world.tabs:
            tab.is_visible = True
        world.wake()
        await asyncio.sleep(5 * MINUTE)
        world.check_reuse()
        for tab in world.tabs:
            await tab.call()
            session = world.stored_session()
            if session is not None and world.server.is_alive(session):
                await self._check_active(tab)
        for tab in tuple(world.tabs):
            tab.kill()
        await asyncio.sleep(MINUTE)

    async def _check_active(self, tab: Tab) -> None:
        if tab.client.state == "refreshing":  # A refresh ahead of expiry may be in flight.
            await asyncio.sleep(CALL_BOUND)
        if tab.client.state != "active":
            self.world.violated(f"without faults the session becomes active: {tab.client.state}")

    # -- The events ----------------------------------------------------------------------------

    def call(self) -> None:
        tab = self.world.random.choice(self.world.tabs)
        tab.burst(self.world.random.randint(1, self.world.profile.burst))

    def open_tab(self) -> None:
        world = self.world
        if len(world.tabs) < world.profile.tabs:
            tab = Tab(world)
            world.tabs.append(tab)
            tab.do(tab.client.ready)

    def close_tab(self) -> None:
        tab = self.world.random.choice(self.world.tabs)
        self.world.report.counts["tabs killed"] += 1
        tab.kill()

    def show(self) -> None:
        tab = self.world.random.choice(self.world.tabs)
        tab.is_visible = True
        tab.client.wake(resume=True)

    def hide(self) -> None:
        self.world.random.choice(self.world.tabs).is_visible = False

    def sleep(self) -> None:
        """The machine sleeps: its timers stop, and requests in flight are lost."""
        world = self.world
        world.report.counts["machine sleeps"] += 1
        longest = min(12 * HOUR, world.profile.idle_ttl * 2)
        world.slept += world.random.expovariate(1 / longest)
        world.sleeps += 1
        world.wake(resume=world.random.random() < 0.5)

    def disconnect(self) -> None:
        """The device is offline for a while."""
        world = self.world
        world.report.counts["network outages"] += 1
        world.is_online = False
        seconds = world.random.choice((3, 20, 300, 2 * HOUR))
        asyncio.get_running_loop().call_later(world.random.uniform(0, seconds), self._reconnect)

    def _reconnect(self) -> None:
        self.world.is_online = True
        self.world.wake()

    def stop_server(self) -> None:
        """The server is down for a while; the device gets no event when it is back."""
        world = self.world
        world.report.counts["server outages"] += 1
        world.is_up = False
        asyncio.get_running_loop().call_later(world.random.uniform(1, 600), self._restart_server)

    def _restart_server(self) -> None:
        self.world.is_up = True

    def set_clock(self) -> None:
        """The device's clock is set forward or back."""
        self.world.report.counts["clock changes"] += 1
        self.world.skew = self.world.random.uniform(
            -self.world.profile.skew, self.world.profile.skew
        )

    def leap_and_return(self) -> None:
        """The device's clock leaps, and is set right again a few minutes later."""
        world, skew = self.world, self.world.skew
        world.report.counts["clocks that leap and return"] += 1
        world.skew += world.random.choice((-1, 1)) * world.random.uniform(HOUR, 40 * DAY)
        world.wake()

        def set_right() -> None:
            world.skew = skew

        asyncio.get_running_loop().call_later(world.random.uniform(1, 10 * MINUTE), set_right)

    def block_the_loop(self) -> None:
        """A long computation or a dialog: timers are due before responses are read."""
        self.world.report.counts["blocked loops"] += 1
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        seconds = self.world.random.choice((1, 15, 100))
        loop.stand_still(seconds)
        self.world.blocked += seconds + FORGIVEN

    def stall_with_the_lock(self) -> None:
        """A tab gets the lock and stops running."""
        self.world.report.counts["stalled locks"] += 1
        self.world.start(self._hold_the_lock(self.world.random.choice((6, 45, 10 * MINUTE))))

    async def _hold_the_lock(self, seconds: float) -> None:
        with contextlib.suppress(Unreachable):
            async with self.world.lock.hold(MINUTE):
                await asyncio.sleep(seconds)

    def damage_the_record(self) -> None:
        """Something else in the page writes over the stored record; the open tabs see it."""
        world = self.world
        if world.text is None:
            return
        world.report.counts["damaged records"] += 1
        world.text = world.random.choice((world.text[:-9], "[" * 1000, "{}", '{"version": 1}'))
        for tab in world.tabs:
            tab.storage_changed()

    def restore_the_database(self) -> None:
        """The database loses the last steps of the session."""
        session = self.world.stored_session()
        if session is not None:
            self.world.report.counts["restored databases"] += 1
            self.world.server.lose_steps(session, self.world.random.randint(1, 6))

    def sign_out(self) -> None:
        """A person makes a call and signs out, in this or another tab, before it is done."""
        tab, other = (
            self.world.random.choice(self.world.tabs),
            self.world.random.choice(self.world.tabs),
        )
        other.burst(1)
        tab.do(tab.sign_out)

    def revoke(self) -> None:
        session = self.world.stored_session()
        if session is not None:
            self.world.server.revoke(session)


def simulate(seed: int, profile: Profile, *, has_locks: bool = True) -> Report:
    """Run one world to the end and return its report."""
    worlds: list[World] = []

    async def run_world() -> None:
        worlds.append(World(seed, profile, has_locks=has_locks))
        await FaultModel(worlds[0]).run()

    run(run_world())
    report = worlds[0].report
    report.counts["refreshes"] = worlds[0].server.refreshes
    report.counts["sessions"] = len(worlds[0].server.rows)
    return report
