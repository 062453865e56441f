"""Experiments: break something on purpose, and see that nobody is lost."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from unexpired import AsyncClient, EventName, UnexpiredError
from views.activity.faults import FaultyClock, FaultyTransport
from views.activity.recorder import Recorder
from views.ui.i18n import counted, told, tr

PROBE = "/api/me"
SESSIONS = "/api/sessions"
BURST = 20
OVER: tuple[EventName, ...] = ("expired", "signed_out")
HOUR = 3600  # s
STILL_SIGNED_IN = "Offline: {} You are still signed in ({})."


@dataclass(frozen=True)
class Experiment:
    """Something to try.

    Attributes:
        name: what its button says.
        promise: what will happen.
        run: does it; returns what did happen.
        undo: what its button says while it lasts.
        lasts: whether it does.
    """

    name: str
    promise: str
    run: Callable[[], Awaitable[str]]
    undo: str = ""
    lasts: Callable[[], bool] = lambda: False


class Experiments:
    """What can be tried on a session.

    Args:
        client: whose session.
        recorder: what the client sends passes through it.
        network: the network to disturb.
        clock: the clock to put wrong.
    """

    def __init__(
        self,
        client: AsyncClient,
        recorder: Recorder,
        network: FaultyTransport,
        clock: FaultyClock,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._network = network
        self._clock = clock
        for event in OVER:
            client.on(event, lambda _: network.heal())  # Or nobody could sign in again.

    def all(self) -> list[Experiment]:
        """The experiments, the harmless ones first."""
        return [
            Experiment(
                tr("Burst of {} requests", BURST),
                tr(
                    "All at once, and each is told that its token has expired: one refresh for all"
                    " of them, {} retries, and {} answers.",
                    BURST,
                    BURST,
                ),
                self.burst,
            ),
            Experiment(
                tr("Go offline"),
                tr(
                    "No request gets an answer. You stay signed in, the page says “Reconnecting…”"
                    " and goes on trying; come back, and it heals by itself."
                ),
                self.switch_network,
                undo=tr("Come back online"),
                lasts=lambda: self._network.is_offline,
            ),
            Experiment(
                tr("Wrong device clock"),
                tr(
                    "Your clock leaps an hour ahead and the token looks dead: one refresh, not a"
                    " loop, then it is put right again."
                ),
                self.leap,
            ),
            Experiment(
                tr("Damage my token"),
                tr(
                    "One character of the signature changes on its way. The server refuses it, the"
                    " session ends, you sign in and are back here."
                ),
                self.damage,
            ),
            Experiment(
                tr("Revoke my session"),
                tr(
                    "The server ends this session, as if from another device. The next request"
                    " learns it, you sign in and are back here."
                ),
                self.revoke,
            ),
        ]

    async def burst(self) -> str:
        """Send many requests with a token that the network calls expired."""
        before, self._network.expires_next = self._refreshed(), True
        answers = await asyncio.gather(*(self._probe() for _ in range(BURST)))
        summary = ", ".join(tr("{} times {}", n, what) for what, n in Counter(answers).items())
        return f"{summary}; {_refreshes(self._refreshed() - before)}."

    async def switch_network(self) -> str:
        """Cut the network off, or give it back."""
        self._network.is_offline = not self._network.is_offline
        if not self._network.is_offline:
            self._client.wake(resume=True)
            return tr("Back online: a request was answered with {}.", await self._probe())
        try:
            await self._client.refresh()
        except UnexpiredError as error:
            return tr(STILL_SIGNED_IN, told(error), tr(self._client.state))
        return tr("Offline.")

    async def leap(self) -> str:
        """Put the clock wrong, look, and put it right."""
        before = self._refreshed()
        self._clock.error = HOUR
        try:
            answers = [await self._probe() for _ in range(3)]
        finally:
            self._clock.error = 0
        ahead = _refreshes(self._refreshed() - before)
        await self._client.refresh()  # So that the token's life is counted by the right clock.
        return tr("Three requests an hour ahead: {}; {}.", ", ".join(answers), ahead)

    async def damage(self) -> str:
        """Send a request with a damaged token."""
        self._network.damages = True
        try:
            return tr("The request was refused: {}", await self._probe())
        finally:
            self._network.damages = False

    async def revoke(self) -> str:
        """End this session at the server, and make a request."""
        listed = (await self._client.get(SESSIONS)).raise_for_status().json()["sessions"]
        for session in listed:
            if session["current"]:
                await self._client.delete(f"{SESSIONS}/{session['id']}")
        return tr("The next request was refused: {}", await self._probe())

    async def _probe(self) -> str:
        try:
            return str((await self._client.get(PROBE)).status_code)
        except UnexpiredError as error:
            return told(error)

    def _refreshed(self) -> int:
        return sum(entry.kind == "refresh" for entry in self._recorder.entries)


def _refreshes(count: int) -> str:
    return counted(count, "1 refresh", "{} refreshes")
