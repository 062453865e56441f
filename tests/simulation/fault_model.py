"""What happens in a world: people, machines, networks, administrators, and calm at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.simulation.loop import run
from tests.simulation.profile import DAY, HOUR, MINUTE, Profile
from tests.simulation.tab import CALL_BOUND, Tab
from tests.simulation.world import Report, World


class Nature:
    """What happens to a device: people, machines, networks, administrators."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.acts: tuple[tuple[float, Callable[[], None]], ...] = (
            (50, self.calls),
            (8, self.show),
            (8, self.hide),
            (5, self.open_tab),
            (3, self.close_tab),
            (6, self.sleep),
            (6, self.cut),
            (3, self.break_down),
            (2, self.leap),
            (world.profile.sign_outs, self.sign_out),
            (0.3, self.revoke),
        )

    async def unfold(self) -> None:
        """Let the world run its days, then calm down, and see whether all is well."""
        world = self.world
        weights, acts = zip(*self.acts, strict=True)
        end = world.now() + world.profile.days * DAY
        before = world.now()
        self.open_tab()
        while world.now() < end:
            await asyncio.sleep(world.random.expovariate(1 / world.profile.pace))
            if world.stored_session() is not None:
                world.report.session_days += (world.now() - before) / DAY
            before = world.now()
            world.random.choices(acts, weights)[0]()
            self.go_on()
            world.judge_reuse()
        await self.calm()

    def go_on(self) -> None:
        """Keep at least one tab open, and somebody signed in."""
        world = self.world
        if not world.tabs:
            self.open_tab()
        if world.stored_session() is None and world.random.random() < 0.7:
            tab = world.random.choice(world.tabs)
            if not tab.calls:
                tab.do(tab.sign_in)

    async def calm(self) -> None:
        """Let the network be quiet: whoever is still signed in must be active again."""
        world = self.world
        world.is_calm, world.is_online, world.is_up = True, True, True
        for tab in world.tabs:
            tab.is_visible = True
        world.wake()
        await asyncio.sleep(5 * MINUTE)
        world.judge_reuse()
        for tab in world.tabs:
            await tab.call()
            session = world.stored_session()
            if session is not None and world.backend.is_alive(session):
                await self._is_well(tab)
        for tab in tuple(world.tabs):
            tab.kill()
        await asyncio.sleep(MINUTE)

    async def _is_well(self, tab: Tab) -> None:
        if tab.client.state == "refreshing":  # It may just be doing so, as it does all the time.
            await asyncio.sleep(CALL_BOUND)
        if tab.client.state != "active":
            self.world.violated(f"a quiet network leads back to active: {tab.client.state}")

    # -- The acts ------------------------------------------------------------------------------

    def calls(self) -> None:
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
        """The machine sleeps: its timers stand still, and what is on its way is lost."""
        world = self.world
        world.report.counts["machine sleeps"] += 1
        longest = min(12 * HOUR, world.profile.idle_ttl * 2)
        world.slept += world.random.expovariate(1 / longest)
        world.naps += 1
        world.wake(resume=world.random.random() < 0.5)

    def cut(self) -> None:
        """The network is gone for a while."""
        world = self.world
        world.report.counts["outages"] += 1
        world.is_online = False
        seconds = world.random.choice((3, 20, 300, 2 * HOUR))
        asyncio.get_running_loop().call_later(world.random.uniform(0, seconds), self._reconnect)

    def _reconnect(self) -> None:
        self.world.is_online = True
        self.world.wake()

    def break_down(self) -> None:
        """The server is down for a while; nothing tells the device when it is back."""
        world = self.world
        world.report.counts["breakdowns"] += 1
        world.is_up = False
        asyncio.get_running_loop().call_later(world.random.uniform(1, 600), self._repair)

    def _repair(self) -> None:
        self.world.is_up = True

    def leap(self) -> None:
        """The device's clock is set, forth or back."""
        self.world.report.counts["clock leaps"] += 1
        self.world.skew = self.world.random.uniform(
            -self.world.profile.skew, self.world.profile.skew
        )

    def sign_out(self) -> None:
        """Somebody clicks once more and signs out, here or in another tab, before it is done."""
        tab, other = (
            self.world.random.choice(self.world.tabs),
            self.world.random.choice(self.world.tabs),
        )
        other.burst(1)
        tab.do(tab.sign_out)

    def revoke(self) -> None:
        session = self.world.stored_session()
        if session is not None:
            self.world.backend.revoke(session)


def simulate(seed: int, profile: Profile, *, has_locks: bool = True) -> Report:
    """Run one world to its end and return what happened."""
    world: list[World] = []

    async def unfold() -> None:
        world.append(World(seed, profile, has_locks=has_locks))
        await Nature(world[0]).unfold()

    run(unfold())
    report = world[0].report
    report.counts["refreshes"] = world[0].backend.refreshes
    report.counts["sessions"] = len(world[0].backend.rows)
    return report
