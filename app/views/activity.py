"""Activity: the session from behind, live, and experiments that try to break it."""

from collections.abc import Mapping
from typing import Any

from js import Date, document, matchMedia, setInterval
from pyodide.ffi import create_proxy

from unexpired import AsyncClient

from .dom import busy, is_busy, listen, listen_async, stamp
from .experiments import Experiment, Experiments
from .recorder import Entry, Recorder
from .timeline import Timeline
from .times import clock_time

TICK_MS, CALM_TICK_MS = 250, 2_000
INSTANTS = {"exp", "iat", "nbf"}


class Activity:
    """The activity view.

    Args:
        client: Whose session is shown.
        recorder: What the client sends passes through it.
        experiments: What can be tried.
    """

    title = "Activity"

    def __init__(self, client: AsyncClient, recorder: Recorder, experiments: Experiments) -> None:
        self._client = client
        self._recorder = recorder
        self.element = stamp("activity")
        part = self.element.querySelector
        self._timeline = Timeline(part(".timeline"), part(".details"), recorder)
        self._log, self._rows = part(".log"), part("tbody")
        self._claims = part(".claims")
        self._written: list[tuple[int, str]] = []
        listen(self._claims, "toggle", lambda _: self._show_claims())
        part(".experiments").append(*map(_card, experiments.all()))
        client.on("signed_in", self._new_token)
        client.on("refreshed", self._new_token)
        client.on("expired", lambda _: recorder.forget())
        client.on("signed_out", lambda _: recorder.forget())
        if client.user is not None:
            self._new_token()
        calm = matchMedia("(prefers-reduced-motion: reduce)").matches
        setInterval(create_proxy(self._tick), CALM_TICK_MS if calm else TICK_MS)

    def show(self, _: Mapping[str, str]) -> None:
        """Draw at once, and from then on as time goes by."""
        self.element.querySelector("h1").focus()
        self._tick()

    def _new_token(self) -> None:
        lifetime, left = self._client.diagnose()["lifetime"], self._client.expires_in
        if lifetime is not None and left is not None:
            due_in = self._client.refresh_in
            self._recorder.begin_life(lifetime=lifetime, left=left, due_in=due_in)
        self._show_claims()

    def _tick(self) -> None:
        if self.element.isConnected and not document.hidden:
            self._timeline.draw()
            self._write_log()

    def _write_log(self) -> None:
        entries = list(reversed(self._recorder.entries))
        news = [(id(entry), entry.outcome) for entry in entries]
        # Only when there is news: whoever reads a row must not lose it.
        if self._log.open and news != self._written:
            self._written = news
            self._rows.replaceChildren(*(_row(entry, self._recorder.now()) for entry in entries))

    def _show_claims(self) -> None:
        if not self._claims.open:
            return
        claims = self._recorder.claims()
        self._claims.querySelector(".empty").hidden = bool(claims)
        pairs = [part for name, value in claims.items() for part in _claim(name, value)]
        self._claims.querySelector("dl").replaceChildren(*pairs)


def _card(experiment: Experiment) -> Any:
    card = stamp("experiment")
    button, said = card.querySelector("button"), card.querySelector(".said")
    card.querySelector("h3").textContent = experiment.name
    card.querySelector("p").textContent = experiment.promise
    button.textContent = experiment.name

    async def run(_: Any) -> None:
        if is_busy(button):
            return
        said.textContent = ""
        with busy(button):
            said.textContent = await experiment.run()
        button.textContent = experiment.undo if experiment.lasts() else experiment.name

    listen_async(button, "click", run)
    return card


def _row(entry: Entry, now: float) -> Any:
    row = document.createElement("tr")
    row.className = "failed" if entry.failed else entry.kind
    took = "" if entry.took is None else f"{round(entry.took * 1000)} ms"
    time = clock_time(Date.now() - (now - entry.sent_at) * 1000)
    for text in (time, entry.kind, entry.call, entry.outcome, took):
        row.append(_element("td", text))
    return row


def _claim(name: str, value: Any) -> tuple[Any, Any]:
    text = str(value)
    if name in INSTANTS and isinstance(value, int):
        text = f"{value} ({clock_time(value * 1000)})"
    return _element("dt", name), _element("dd", text)


def _element(tag: str, text: str) -> Any:
    element = document.createElement(tag)
    element.textContent = text
    return element
