"""An experiment, and what runs it: one at a time, and no fault is left behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from unexpired import AsyncClient, EventName, UnexpiredError
from views.activity.faults import FaultyClock, FaultyTransport
from views.ui.error_messages import error_message

OVER: tuple[EventName, ...] = ("expired", "signed_out")


@dataclass(frozen=True)
class Experiment:
    """An experiment.

    Attributes:
        name: The label of its button.
        description: What it does, and what to expect.
        run: Runs it and returns the result.
        stop_name: The label of its button while it is active.
        is_active: Returns whether it is active; most experiments end by themselves.
        is_exclusive: Whether another one at the same time would change its result.
    """

    name: str
    description: str
    run: Callable[[], Awaitable[str]]
    stop_name: str = ""
    is_active: Callable[[], bool] = lambda: False
    is_exclusive: bool = True


class Runner:
    """Runs experiments.

    Args:
        client: The client of the session.
        network: The network that they disturb.
        clock: The clock that they set wrong.
    """

    def __init__(self, client: AsyncClient, network: FaultyTransport, clock: FaultyClock) -> None:
        self._network = network
        self._clock = clock
        self._running: Experiment | None = None
        self._last: Experiment | None = None
        for event in OVER:
            client.on(event, lambda _: self._repair())  # Otherwise nobody could sign in again.

    def obstacle_to(self, experiment: Experiment) -> Experiment | None:
        """Return the experiment that has to end first, if there is one."""
        if not experiment.is_exclusive:
            return None
        last = self._last
        lasts = last is not None and last is not experiment and last.is_active()
        return self._running or (last if lasts else None)

    async def run(self, experiment: Experiment) -> str:
        """Return the result of an experiment that nothing stands in the way of."""
        if not experiment.is_exclusive:
            return await _result(experiment)
        self._running = self._last = experiment
        try:
            return await _result(experiment)
        finally:
            self._running = None
            if not experiment.is_active():
                self._repair()

    def _repair(self) -> None:
        self._network.repair()
        self._clock.error = 0


async def _result(experiment: Experiment) -> str:
    try:
        return await experiment.run()
    except UnexpiredError as error:
        return error_message(error)
