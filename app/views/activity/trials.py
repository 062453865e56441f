"""What the experiments do: each causes a fault on purpose, and returns what came of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

from js import location, window

from unexpired import AsyncClient, UnexpiredError, Unreachable
from unexpired.browser import open_lock
from views.activity.entries import TokenLifetime
from views.activity.faults import FaultyClock, FaultyTransport
from views.activity.recorder import NO_RESPONSE, Recorder
from views.activity.tabs import Tabs
from views.ui.error_messages import SESSION_OVER, error_message
from views.ui.i18n import tr, tr_plural

PROBE = "/api/me"
SESSIONS = "/api/sessions"
HOUR = 3600  # s
SLOW = 2  # s
LOCK_TIMEOUT = 5  # s
TAB_TIMEOUT = 60  # s
Refreshed = tuple[int, TokenLifetime | None]


class Trials:
    """What can be done to a session. The ``Runner`` repairs afterwards what they have broken.

    Args:
        client: The client of the session.
        recorder: Records the client's requests.
        network: The network to disturb.
        clock: The clock to set wrong.
        tabs: Knows the other tabs.
        lock_name: The name of the lock under which tabs refresh.
    """

    def __init__(  # noqa: PLR0913 - what there is to disturb
        self,
        client: AsyncClient,
        recorder: Recorder,
        network: FaultyTransport,
        clock: FaultyClock,
        *,
        tabs: Tabs,
        lock_name: str,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._network = network
        self._clock = clock
        self._tabs = tabs
        self._lock_name = lock_name

    @property
    def is_offline(self) -> bool:
        """Whether the network is disconnected."""
        return self._network.is_offline

    async def burst(self, size: int) -> str:
        """Send many requests with a token that the network treats as expired."""
        before, self._network.expires_next_token = self._refreshed(), True
        results = await asyncio.gather(*(self._probe() for _ in range(size)))
        summary = ", ".join(tr("{} times {}", n, result) for result, n in Counter(results).items())
        return f"{summary}; {self._refreshes_since(before)}."

    async def toggle_network(self) -> str:
        """Disconnect the network, or connect it again."""
        self._network.is_offline = not self._network.is_offline
        if not self._network.is_offline:
            self._client.wake(resume=True)
            return tr("Back online. Response to a request: {}", await self._probe())
        with suppress(Unreachable):
            await self._client.refresh()
        return tr(
            "Offline: no request gets through. You are still signed in, and the page tries again by"
            " itself."
        )

    async def slow_down(self) -> str:
        """Delay each response, and send requests with a token that counts as expired."""
        before, started = self._refreshed(), self._recorder.now()
        self._network.expires_next_token, self._network.delay = True, SLOW
        results = await asyncio.gather(*(self._probe() for _ in range(3)))
        return tr(
            "Three requests, {} s: {}; {}.",
            round(self._recorder.now() - started),
            ", ".join(results),
            self._refreshes_since(before),
        )

    async def lose_response(self) -> str:
        """Lose the response to a refresh, and refresh again."""
        self._network.loses_next_tokens = True
        try:
            await self._client.refresh()
        except Unreachable:
            if self._network.loses_next_tokens:
                raise  # There was none to lose.
        else:
            return tr("The response was not lost.")
        self._client.wake(resume=True)
        await self._client.refresh()
        return tr(
            "The first refresh: no response. The second refresh: new tokens. A request: {}",
            await self._probe(),
        )

    async def duplicate_tab(self) -> str:
        """Open this page in another tab, and wait until it runs."""
        before = self._tabs.count
        if not window.open(location.href):
            return tr(
                "This browser blocked the new tab. Allow this page to open windows, and try again."
            )
        deadline = self._recorder.now() + TAB_TIMEOUT
        while self._tabs.count == before:
            if self._recorder.now() > deadline:
                return tr("The new tab has not started.")
            await asyncio.sleep(0.1)
        return tr("The new tab has started. It has a row of its own in the picture.")

    async def hold_lock(self) -> str:
        """Hold the lock as another tab could, and send a request that needs a refresh."""
        before, started = self._refreshed(), self._recorder.now()
        lock = open_lock(self._lock_name)
        if not getattr(lock, "is_shared", True):
            return tr("This browser has no lock among tabs. Each tab refreshes without it.")
        async with lock.hold(LOCK_TIMEOUT):
            self._network.expires_next_token = True
            result = await self._probe()
        return tr(
            "After {} s: {}; {}.",
            round(self._recorder.now() - started),
            result,
            self._refreshes_since(before),
        )

    async def shift_clock(self) -> str:
        """Set the clock wrong, send requests, and correct it."""
        before = self._refreshed()
        self._clock.error = HOUR
        results = [await self._probe() for _ in range(3)]
        refreshes = self._refreshes_since(before)
        self._clock.error = 0
        await self._client.refresh()  # So that the token's expiry is counted by the correct clock.
        return tr("Three requests, an hour ahead: {}; {}.", ", ".join(results), refreshes)

    async def damage_token(self) -> str:
        """Send a request with a damaged token."""
        self._network.damages_tokens = True
        return tr("The request was refused ({}), and the session ended.", await self._refusal())

    async def revoke_session(self) -> str:
        """Revoke this session on the server, and send a request."""
        response = (await self._client.get(SESSIONS)).raise_for_status()
        for session in response.json()["sessions"]:
            if session["current"]:
                await self._client.delete(f"{SESSIONS}/{session['id']}")
        return tr(
            "The next request was refused ({}), and the session ended.", await self._refusal()
        )

    async def _probe(self) -> str:
        """Return in a word or two what came of a request."""
        try:
            return str((await self._client.get(PROBE)).status_code)
        except Unreachable:
            return tr(NO_RESPONSE)
        except SESSION_OVER:
            return tr("session ended")
        except UnexpiredError as error:
            return error_message(error)

    async def _refusal(self) -> str:
        """Return how a request is refused.

        Raises:
            Unreachable: If there is no response.
        """
        try:
            return str((await self._client.get(PROBE)).status_code)
        except SESSION_OVER as error:
            return getattr(error, "code", None) or tr("session ended")

    def _refreshed(self) -> Refreshed:
        """Return what there is by now: this tab's refreshes, and the newest token of any tab."""
        count = sum(entry.kind == "refresh" for entry in self._recorder.entries)
        return count, self._recorder.lifetimes[-1] if self._recorder.lifetimes else None

    def _refreshes_since(self, before: Refreshed) -> str:
        count, lifetime = self._refreshed()
        if count == before[0] and lifetime is not before[1]:
            return tr("1 refresh, by another tab")
        return tr_plural(count - before[0], "1 refresh", "{} refreshes")
