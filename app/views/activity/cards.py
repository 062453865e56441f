"""The cards of the experiments: what will happen, a button, and what did happen."""

from __future__ import annotations

from collections.abc import Callable

from views.activity.experiment import Experiment, Runner
from views.ui.dom import busy, clone_template, is_busy, listen_async
from views.ui.i18n import tr


class Card:
    """The card of an experiment.

    Args:
        experiment: The experiment.
        runner: Runs it.
        on_start: Called before it runs.
    """

    def __init__(
        self, experiment: Experiment, runner: Runner, on_start: Callable[[], None]
    ) -> None:
        self._experiment = experiment
        self._runner = runner
        self._on_start = on_start
        self.element = clone_template("experiment")
        self._button = self.element.querySelector("button")
        self._result = self.element.querySelector(".result")
        self._was_active = False
        self._obstacle: Experiment | None = None
        self.element.querySelector("h3").textContent = experiment.name
        self.element.querySelector("p").textContent = experiment.description
        self.update()
        listen_async(self._button, "click", lambda _: self._run())

    def update(self) -> None:
        """Show whether it is active, which the end of the session ends too, and can run."""
        is_active = self._experiment.is_active()
        name = self._experiment.stop_name if is_active else self._experiment.name
        if self._button.textContent != name:
            self._button.textContent = name
        if self._was_active and not is_active and not is_busy(self._button):
            self._result.textContent = ""  # It said that it goes on.
        self._was_active = is_active
        if self._obstacle and not self._runner.obstacle_to(self._experiment):
            self._obstacle = None
            self._result.textContent = ""

    async def _run(self) -> None:
        if is_busy(self._button):
            return
        self._obstacle = self._runner.obstacle_to(self._experiment)
        if self._obstacle:
            self._result.textContent = tr("“{}” has to end first.", self._obstacle.name)
            return
        self._on_start()
        self._result.textContent = tr("Running…")
        with busy(self._button):
            self._result.textContent = await self._runner.run(self._experiment)
            self.update()
