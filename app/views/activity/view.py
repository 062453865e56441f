"""Activity: the session from behind, live, and experiments that try to break it."""

from collections.abc import Mapping
from typing import Any

from js import Date, document, matchMedia, setInterval
from pyodide.ffi import create_proxy

from unexpired import AsyncClient
from views.activity.experiments import Experiment, Experiments
from views.activity.recorder import Entry, Life, Recorder
from views.activity.timeline import Timeline, clock_times
from views.ui.datetimes import clock_time
from views.ui.dom import busy, is_busy, listen, listen_async, stamp
from views.ui.i18n import tr

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
        self._log = part(".log")
        self._requests, self._tokens = part(".requests tbody"), part(".tokens tbody")
        self._claims = part(".claims")
        self._written: list[tuple[int, str | None]] = []
        listen(self._claims, "toggle", lambda _: self._show_claims())
        part(".experiments").append(*map(_card, experiments.all()))
        client.on("signed_in", self._new_session)
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

    def _new_session(self) -> None:
        self._recorder.end_life("session over")  # Of whoever was signed in until now.
        self._new_token()

    def _new_token(self) -> None:
        lifetime, left = self._client.lifetime, self._client.expires_in
        if lifetime is not None and left is not None:
            due_in = self._client.refresh_in
            self._recorder.begin_life(lifetime=lifetime, left=left, due_in=due_in)
        self._show_claims()

    def _tick(self) -> None:
        if self.element.isConnected and not document.hidden:
            self._timeline.draw()
            self._write_log()

    def _write_log(self) -> None:
        now, entries, lives = self._recorder.now(), self._recorder.entries, self._recorder.lives
        news: list[tuple[int, str | None]] = [(id(entry), entry.outcome) for entry in entries]
        news += [(id(life), life.how_it_ended(now)) for life in lives]
        # Only when there is news: whoever reads a row must not lose it.
        if self._log.open and news != self._written:
            self._written = news
            self._requests.replaceChildren(*(_row(entry, now) for entry in reversed(entries)))
            self._tokens.replaceChildren(*(_life_row(life, now) for life in reversed(lives)))

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
    row.append(*_cells(time, tr(entry.kind), entry.call, tr(entry.outcome), took))
    return row


def _life_row(life: Life, now: float) -> Any:
    row = document.createElement("tr")
    born, due, end = clock_times(life, now)
    how = tr(life.how_it_ended(now) or "good")
    row.append(*_cells(born, due or tr("cannot be renewed"), end, how))
    return row


def _cells(*texts: str) -> list[Any]:
    return [_element("td", text) for text in texts]


def _claim(name: str, value: Any) -> tuple[Any, Any]:
    text = str(value)
    if name in INSTANTS and isinstance(value, int):
        text = f"{value} ({clock_time(value * 1000)})"
    return _element("dt", name), _element("dd", text)


def _element(tag: str, text: str) -> Any:
    element = document.createElement(tag)
    element.textContent = text
    return element
