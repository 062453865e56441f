"""Experiments: cause a fault on purpose, and watch the session survive it or end cleanly."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from js import location, window

from unexpired import AsyncClient, EventName, UnexpiredError
from unexpired.browser import open_lock
from views.activity.faults import FaultyClock, FaultyTransport
from views.activity.recorder import Recorder
from views.activity.tabs import Tabs
from views.activity.theft import Theft
from views.ui.error_messages import error_message
from views.ui.i18n import tr, tr_plural

PROBE = "/api/me"
SESSIONS = "/api/sessions"
BURSTS = (20, 100)
OVER: tuple[EventName, ...] = ("expired", "signed_out")
HOUR = 3600  # s
SLOW = 2  # s
LOCK_TIMEOUT = 5  # s
TAB_TIMEOUT = 60  # s
STILL_SIGNED_IN = "Offline: {} You are still signed in ({})."


@dataclass(frozen=True)
class Experiment:
    """An experiment.

    Attributes:
        name: The label of its button.
        description: What it does, and what to expect.
        run: Runs it and returns the result.
        stop_name: The label of its button while it is active.
        is_active: Returns whether it is active; most experiments end by themselves.
    """

    name: str
    description: str
    run: Callable[[], Awaitable[str]]
    stop_name: str = ""
    is_active: Callable[[], bool] = lambda: False


class Experiments:
    """The experiments on a session.

    Args:
        client: The client of the session.
        recorder: Records the client's requests.
        network: The network to disturb.
        clock: The clock to set wrong.
        theft: Tries copies of the tokens.
        tabs: Knows the other tabs.
        lock_name: The name of the lock under which tabs refresh.
    """

    def __init__(  # noqa: PLR0913 - what there is to disturb
        self,
        client: AsyncClient,
        recorder: Recorder,
        network: FaultyTransport,
        clock: FaultyClock,
        theft: Theft,
        *,
        tabs: Tabs,
        lock_name: str,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._network = network
        self._clock = clock
        self._theft = theft
        self._tabs = tabs
        self._lock_name = lock_name
        for event in OVER:
            client.on(event, lambda _: network.repair())  # Otherwise nobody could sign in again.

    def all(self) -> list[Experiment]:
        """Return the experiments; those that end the session come last."""
        return [
            *map(self._burst_of, BURSTS),
            Experiment(
                tr("Go offline"),
                tr(
                    "Makes every request fail: expect “Reconnecting…” while you stay signed in."
                    " Come back online, and the page reconnects."
                ),
                self.toggle_network,
                stop_name=tr("Come back online"),
                is_active=lambda: self._network.is_offline,
            ),
            Experiment(
                tr("Slow network"),
                tr(
                    "Delays each response by {} seconds and sends three requests with an expired"
                    " token: expect one refresh, for which all three wait.",
                    SLOW,
                ),
                self.slow_down,
            ),
            Experiment(
                tr("Lost response"),
                tr(
                    "Loses the response to a refresh after the server has sent it: expect the page"
                    " to ask again and to get the same tokens. You stay signed in."
                ),
                self.lose_response,
            ),
            Experiment(
                tr("Duplicate this tab"),
                tr(
                    "Opens this page in a second tab: expect it to start with your session, without"
                    " a sign-in. What it sends appears here, too."
                ),
                self.duplicate_tab,
            ),
            Experiment(
                tr("Another tab holds the lock"),
                tr(
                    "Holds the lock among tabs, as a tab that hangs would, and sends a request with"
                    " an expired token: expect it to wait for a few seconds, then to refresh"
                    " without the lock."
                ),
                self.hold_lock,
            ),
            Experiment(
                tr("Wrong device clock"),
                tr(
                    "Sets the clock an hour ahead, so the token looks expired: expect one refresh,"
                    " not a loop."
                ),
                self.shift_clock,
            ),
            Experiment(
                tr("Steal my tokens"),
                tr(
                    "Copies the tokens out of this browser's storage and uses them as a thief"
                    " elsewhere would: expect the server to give the thief no new ones. Nothing"
                    " happens to your session."
                ),
                self.steal_tokens,
            ),
            Experiment(
                tr("Damage my token"),
                tr(
                    "Changes one character of the token's signature: expect the server to refuse"
                    " the token. The session ends; sign in, and you return to this page."
                ),
                self.damage_token,
            ),
            Experiment(
                tr("Revoke my session"),
                tr(
                    "Ends this session on the server, as another device could: expect the next"
                    " request to be refused. Sign in, and you return to this page."
                ),
                self.revoke_session,
            ),
        ]

    def _burst_of(self, size: int) -> Experiment:
        return Experiment(
            tr("Burst of {} requests", size),
            tr(
                "Sends {} requests at once with an expired token: expect {} refusals, one"
                " refresh and {} retries that succeed.",
                *[size] * 3,
            ),
            lambda: self.burst(size),
        )

    async def burst(self, size: int) -> str:
        """Send many requests with a token that the network treats as expired."""
        before, self._network.expires_next_token = self._count_refreshes(), True
        results = await asyncio.gather(*(self._probe() for _ in range(size)))
        summary = ", ".join(tr("{} times {}", n, result) for result, n in Counter(results).items())
        return f"{summary}; {_refreshes(self._count_refreshes() - before)}."

    async def toggle_network(self) -> str:
        """Disconnect the network, or connect it again."""
        self._network.is_offline = not self._network.is_offline
        if not self._network.is_offline:
            self._client.wake(resume=True)
            return tr("Back online. Response to a request: {}", await self._probe())
        try:
            await self._client.refresh()
        except UnexpiredError as error:
            return tr(STILL_SIGNED_IN, error_message(error), tr(self._client.state))
        return tr("Offline.")

    async def slow_down(self) -> str:
        """Delay each response, and send requests with a token that counts as expired."""
        before, started = self._count_refreshes(), self._recorder.now()
        self._network.expires_next_token, self._network.delay = True, SLOW
        try:
            results = await asyncio.gather(*(self._probe() for _ in range(3)))
        finally:
            self._network.delay = 0
        return tr(
            "Three requests, {} s: {}; {}.",
            round(self._recorder.now() - started),
            ", ".join(results),
            _refreshes(self._count_refreshes() - before),
        )

    async def lose_response(self) -> str:
        """Lose the response to a refresh, and refresh again."""
        self._network.loses_next_tokens = True
        try:
            await self._client.refresh()
        except UnexpiredError as error:
            lost = error_message(error)
        else:
            return tr("The response was not lost.")
        finally:
            self._network.loses_next_tokens = False
        self._client.wake(resume=True)
        try:
            await self._client.refresh()
        except UnexpiredError as error:
            return error_message(error)
        return tr("{} The second refresh: new tokens. A request: {}", lost, await self._probe())

    async def duplicate_tab(self) -> str:
        """Open this page in another tab, and wait until it runs."""
        before = self._tabs.count
        if not window.open(location.href):
            return tr("This browser blocked the new tab.")
        deadline = self._recorder.now() + TAB_TIMEOUT
        while self._tabs.count == before:
            if self._recorder.now() > deadline:
                return tr("The new tab has not started.")
            await asyncio.sleep(0.1)
        return tr("The new tab has started. It has a row of its own in the picture.")

    async def hold_lock(self) -> str:
        """Hold the lock as another tab could, and send a request that needs a refresh."""
        before, started = self._count_refreshes(), self._recorder.now()
        lock = open_lock(self._lock_name)
        if not getattr(lock, "is_shared", True):
            return tr("This browser has no lock among tabs. Each tab refreshes without it.")
        try:
            async with lock.hold(LOCK_TIMEOUT):
                self._network.expires_next_token = True
                result = await self._probe()
        except UnexpiredError as error:  # Another tab really holds it.
            return error_message(error)
        return tr(
            "After {} s: {}; {}.",
            round(self._recorder.now() - started),
            result,
            _refreshes(self._count_refreshes() - before),
        )

    async def shift_clock(self) -> str:
        """Set the clock wrong, send requests, and correct it."""
        before = self._count_refreshes()
        self._clock.error = HOUR
        try:
            results = [await self._probe() for _ in range(3)]
        finally:
            self._clock.error = 0
        refreshes = _refreshes(self._count_refreshes() - before)
        await self._client.refresh()  # So that the token's expiry is counted by the correct clock.
        return tr("Three requests, an hour ahead: {}; {}.", ", ".join(results), refreshes)

    async def steal_tokens(self) -> str:
        """Try copies of the tokens as a thief would."""
        try:
            return await self._theft.run()
        except UnexpiredError as error:
            return error_message(error)

    async def damage_token(self) -> str:
        """Send a request with a damaged token."""
        self._network.damages_tokens = True
        try:
            return tr("The request was refused: {}", await self._probe())
        finally:
            self._network.damages_tokens = False

    async def revoke_session(self) -> str:
        """Revoke this session on the server, and send a request."""
        response = (await self._client.get(SESSIONS)).raise_for_status()
        for session in response.json()["sessions"]:
            if session["current"]:
                await self._client.delete(f"{SESSIONS}/{session['id']}")
        return tr("The next request was refused: {}", await self._probe())

    async def _probe(self) -> str:
        try:
            return str((await self._client.get(PROBE)).status_code)
        except UnexpiredError as error:
            return error_message(error)

    def _count_refreshes(self) -> int:
        return sum(entry.kind == "refresh" for entry in self._recorder.entries)


def _refreshes(count: int) -> str:
    return tr_plural(count, "1 refresh", "{} refreshes")
