"""Activity: shows the session's tokens and requests live, and runs experiments on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from js import document, matchMedia, setInterval
from pyodide.ffi import create_proxy

from unexpired import AsyncClient
from views.activity.descriptions import clock, clock_times
from views.activity.drawings import legend_icon
from views.activity.entries import Entry, TokenLifetime
from views.activity.experiments import Experiment, Experiments
from views.activity.player import Player
from views.activity.recorder import Recorder
from views.activity.recording import Source
from views.activity.tabs import Tabs
from views.activity.timeline import Timeline
from views.ui.datetimes import clock_time
from views.ui.dom import busy, clone_template, is_busy, listen, listen_async
from views.ui.i18n import tr

TICK_MS, REDUCED_MOTION_TICK_MS = 250, 2_000
TIMESTAMPS = {"exp", "iat", "nbf"}


class Activity:
    """The Activity view.

    Args:
        client: The client whose session is shown.
        recorder: Records the client's requests.
        tabs: What this tab and the others have sent.
        experiments: The experiments to offer.
    """

    title = "Activity"

    def __init__(
        self, client: AsyncClient, recorder: Recorder, tabs: Tabs, experiments: Experiments
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._tabs = tabs
        self.element = clone_template("activity")
        find = self.element.querySelector
        self._timeline = Timeline(find(".timeline"), find(".details"), tabs)
        self._player = Player(find(".recording"), self._timeline, tabs)
        self._log = find(".log")
        self._requests, self._tokens = find(".requests tbody"), find(".tokens tbody")
        self._claims = find(".claims")
        self._logged: list[tuple[int, str | None]] = []
        listen(self._claims, "toggle", lambda _: self._show_claims())
        for item in find(".legend").children:
            item.prepend(legend_icon(item.dataset.mark))
        find(".experiments").append(*map(_card, experiments.all()))
        client.on("signed_in", self._on_signed_in)
        client.on("refreshed", self._on_refreshed)
        client.on("expired", lambda _: recorder.end_session())
        client.on("signed_out", lambda _: recorder.end_session())
        if client.user is not None:
            self._on_new_token()
        reduced = matchMedia("(prefers-reduced-motion: reduce)").matches
        setInterval(create_proxy(self._tick), REDUCED_MOTION_TICK_MS if reduced else TICK_MS)

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
            self._update_log(self._player.source)

    def _update_log(self, source: Source) -> None:
        now, entries, lifetimes = source.now(), source.entries, source.lifetimes
        state: list[tuple[int, str | None]] = [
            (id(entry), entry.outcome + entry.state) for entry in entries
        ]
        state += [(id(one), one.end_reason(now)) for one in lifetimes]
        # Only on changes: replacing a row moves a screen reader's cursor.
        if self._log.open and state != self._logged:
            self._logged = state
            self._requests.replaceChildren(
                *(_request_row(one, source) for one in reversed(entries))
            )
            self._tokens.replaceChildren(*(_token_row(one, source) for one in reversed(lifetimes)))

    def _show_claims(self) -> None:
        if not self._claims.open:
            return
        claims = self._recorder.claims()
        self._claims.querySelector(".empty").hidden = bool(claims)
        pairs = [part for name, value in claims.items() for part in _claim(name, value)]
        self._claims.querySelector("dl").replaceChildren(*pairs)


def _card(experiment: Experiment) -> Any:
    card = clone_template("experiment")
    button, result = card.querySelector("button"), card.querySelector(".result")
    card.querySelector("h3").textContent = experiment.name
    card.querySelector("p").textContent = experiment.description
    button.textContent = experiment.name

    async def run(_: Any) -> None:
        if is_busy(button):
            return
        result.textContent = ""
        with busy(button):
            result.textContent = await experiment.run()
        button.textContent = experiment.stop_name if experiment.is_active() else experiment.name

    listen_async(button, "click", run)
    return card


def _request_row(entry: Entry, source: Source) -> Any:
    row = document.createElement("tr")
    row.className = entry.state
    duration = "" if entry.duration is None else f"{round(entry.duration * 1000)} ms"
    outcome = tr("{}, healed", tr(entry.outcome)) if entry.healed else tr(entry.outcome)
    time = clock(entry.sent_at, source)
    row.append(*_cells(time, tr(entry.kind), entry.call, outcome, duration))
    return row


def _token_row(lifetime: TokenLifetime, source: Source) -> Any:
    row = document.createElement("tr")
    issued, due, end = clock_times(lifetime, source)
    state = tr(lifetime.end_reason(source.now()) or "valid")
    row.append(*_cells(issued, due or tr("cannot be renewed"), end, state))
    return row


def _cells(*texts: str) -> list[Any]:
    return [_element("td", text) for text in texts]


def _claim(name: str, value: Any) -> tuple[Any, Any]:
    text = str(value)
    if name in TIMESTAMPS and isinstance(value, int):
        text = f"{value} ({clock_time(value * 1000)})"
    return _element("dt", name), _element("dd", text)


def _element(tag: str, text: str) -> Any:
    element = document.createElement(tag)
    element.textContent = text
    return element
