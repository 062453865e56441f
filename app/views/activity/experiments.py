"""Experiments: cause a fault on purpose, and watch the session survive it or end cleanly."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from unexpired import AsyncClient, EventName, UnexpiredError
from views.activity.faults import FaultyClock, FaultyTransport
from views.activity.recorder import Recorder
from views.activity.theft import Theft
from views.ui.error_messages import error_message
from views.ui.i18n import tr, tr_plural

PROBE = "/api/me"
SESSIONS = "/api/sessions"
BURST = 20
OVER: tuple[EventName, ...] = ("expired", "signed_out")
HOUR = 3600  # s
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
    """

    def __init__(
        self,
        client: AsyncClient,
        recorder: Recorder,
        network: FaultyTransport,
        clock: FaultyClock,
        theft: Theft,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._network = network
        self._clock = clock
        self._theft = theft
        for event in OVER:
            client.on(event, lambda _: network.repair())  # Otherwise nobody could sign in again.

    def all(self) -> list[Experiment]:
        """Return the experiments; those that end the session come last."""
        return [
            Experiment(
                tr("Burst of {} requests", BURST),
                tr(
                    "Sends {} requests at once with an expired token: expect {} refusals, one"
                    " refresh and {} retries that succeed.",
                    BURST,
                    BURST,
                    BURST,
                ),
                self.burst,
            ),
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

    async def burst(self) -> str:
        """Send many requests with a token that the network treats as expired."""
        before, self._network.expires_next_token = self._count_refreshes(), True
        results = await asyncio.gather(*(self._probe() for _ in range(BURST)))
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
