"""Activity: shows the session's tokens and requests live, and runs experiments on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from js import document, setInterval, window
from pyodide.ffi import create_proxy

from unexpired import AsyncClient
from views.activity.cards import Card
from views.activity.drawings import legend_icon
from views.activity.experiment import Experiment, Runner
from views.activity.log import Log
from views.activity.player import Player
from views.activity.recorder import Recorder
from views.activity.tabs import Tabs
from views.activity.timeline import Timeline
from views.ui.datetimes import clock_time
from views.ui.dom import clone_template, listen, prefers_reduced_motion

TICK_MS, REDUCED_MOTION_TICK_MS = 250, 2_000
TIMESTAMPS = {"exp", "iat", "nbf"}


class Activity:
    """The Activity view.

    Args:
        client: The client whose session is shown.
        recorder: Records the client's requests.
        tabs: What this tab and the others have sent.
        runner: Runs experiments.
        experiments: The experiments to offer.
    """

    title = "Activity"

    def __init__(
        self,
        client: AsyncClient,
        recorder: Recorder,
        tabs: Tabs,
        runner: Runner,
        experiments: Iterable[Experiment],
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._tabs = tabs
        self.element = clone_template("activity")
        find = self.element.querySelector
        self._timeline = Timeline(find(".timeline"), find(".details"), tabs)
        self._player = Player(find(".files"), find(".replay"), self._timeline, tabs)
        self._log = Log(find(".log"))
        self._claims = find(".claims")
        listen(self._claims, "toggle", lambda _: self._show_claims())
        for item in find(".legend").children:
            item.prepend(legend_icon(item.dataset.mark))
        # What an experiment does is seen in the picture of the present.
        self._cards = [Card(one, runner, self._player.close) for one in experiments]
        find(".experiments").append(*(card.element for card in self._cards))
        client.on("signed_in", self._on_signed_in)
        client.on("refreshed", self._on_refreshed)
        client.on("expired", lambda _: recorder.end_session())
        client.on("signed_out", lambda _: recorder.end_session())
        if client.user is not None:
            self._on_new_token()
        tick = REDUCED_MOTION_TICK_MS if prefers_reduced_motion() else TICK_MS
        setInterval(create_proxy(self._tick), tick)
        # Else the picture is stretched until then.
        listen(window, "resize", lambda _: self._tick())

    def show(self, _: Mapping[str, str]) -> None:
        """Draw now; the timer draws from then on."""
        self.element.querySelector("h1").focus()
        self._tick()

    def _on_signed_in(self) -> None:
        self._recorder.end_lifetime("session ended")  # The session of the last user, if any.
        self._on_new_token()

    def _on_refreshed(self) -> None:
        self._recorder.heal_refreshes()
        self._on_new_token()

    def _on_new_token(self) -> None:
        lifetime, expires_in = self._client.lifetime, self._client.expires_in
        if lifetime is not None and expires_in is not None:
            refresh_in = self._client.refresh_in
            self._recorder.start_lifetime(
                lifetime=lifetime, expires_in=expires_in, refresh_in=refresh_in
            )
        self._show_claims()

    def _tick(self) -> None:
        if self.element.isConnected and not document.hidden:
            self._timeline.draw()
            self._log.update(self._player.source)
            for card in self._cards:
                card.update()

    def _show_claims(self) -> None:
        if not self._claims.open:
            return
        claims = self._recorder.claims()
        self._claims.querySelector(".empty").hidden = bool(claims)
        pairs = [part for name, value in claims.items() for part in _claim(name, value)]
        self._claims.querySelector("dl").replaceChildren(*pairs)


def _claim(name: str, value: Any) -> tuple[Any, Any]:
    text = str(value)
    if name in TIMESTAMPS and isinstance(value, int):
        text = f"{value} ({clock_time(value * 1000)})"
    return _element("dt", name), _element("dd", text)


def _element(tag: str, text: str) -> Any:
    element = document.createElement(tag)
    element.textContent = text
    return element
