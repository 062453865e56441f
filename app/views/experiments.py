"""Experiments: break something on purpose, and see that nobody is lost."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from unexpired import AsyncClient, EventName, UnexpiredError

from .faults import FaultyClock, FaultyTransport
from .recorder import Recorder

PROBE = "/api/me"
SESSIONS = "/api/sessions"
BURST = 20
OVER: tuple[EventName, ...] = ("expired", "signed_out")
HOUR = 3600  # s


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
                f"Burst of {BURST} requests",
                "All at once, and each is told that its token has expired: one refresh for all of"
                f" them, {BURST} retries, and {BURST} answers.",
                self.burst,
            ),
            Experiment(
                "Go offline",
                "No request gets an answer. You stay signed in, the page says “Reconnecting…” and"
                " goes on trying; come back, and it heals by itself.",
                self.switch_network,
                undo="Come back online",
                lasts=lambda: self._network.is_offline,
            ),
            Experiment(
                "Wrong device clock",
                "Your clock leaps an hour ahead and the token looks dead: one refresh, not a loop,"
                " then it is put right again.",
                self.leap,
            ),
            Experiment(
                "Damage my token",
                "One character of the signature changes on its way. The server refuses it, the"
                " session ends, you sign in and are back here.",
                self.damage,
            ),
            Experiment(
                "Revoke my session",
                "The server ends this session, as if from another device. The next request learns"
                " it, you sign in and are back here.",
                self.revoke,
            ),
        ]

    async def burst(self) -> str:
        """Send many requests with a token that the network calls expired."""
        before, self._network.expires_next = self._refreshes(), True
        answers = await asyncio.gather(*(self._probe() for _ in range(BURST)))
        counted = ", ".join(f"{n} times {what}" for what, n in Counter(answers).items())
        return f"{counted}; {_times(self._refreshes() - before, 'refresh')}."

    async def switch_network(self) -> str:
        """Cut the network off, or give it back."""
        self._network.is_offline = not self._network.is_offline
        if not self._network.is_offline:
            self._client.wake(resume=True)
            return f"Back online: a request was answered with {await self._probe()}."
        try:
            await self._client.refresh()
        except UnexpiredError as error:
            return f"Offline: {error} You are still signed in ({self._client.state})."
        return "Offline."

    async def leap(self) -> str:
        """Put the clock wrong, look, and put it right."""
        before = self._refreshes()
        self._clock.error = HOUR
        try:
            answers = [await self._probe() for _ in range(3)]
        finally:
            self._clock.error = 0
        ahead = self._refreshes() - before
        await self._client.refresh()  # So that the token's life is counted by the right clock.
        return f"Three requests an hour ahead: {', '.join(answers)}; {_times(ahead, 'refresh')}."

    async def damage(self) -> str:
        """Send a request with a damaged token."""
        self._network.damages = True
        try:
            return f"The request was refused: {await self._probe()}"
        finally:
            self._network.damages = False

    async def revoke(self) -> str:
        """End this session at the server, and make a request."""
        listed = (await self._client.get(SESSIONS)).raise_for_status().json()["sessions"]
        for session in listed:
            if session["current"]:
                await self._client.delete(f"{SESSIONS}/{session['id']}")
        return f"The next request was refused: {await self._probe()}"

    async def _probe(self) -> str:
        try:
            return str((await self._client.get(PROBE)).status_code)
        except UnexpiredError as error:
            return str(error)

    def _refreshes(self) -> int:
        return sum(entry.kind == "refresh" for entry in self._recorder.entries)


def _times(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 'es'}"
