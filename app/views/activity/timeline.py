"""The time line: tokens, refreshes and requests as they pass, now at the right edge."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from js import Date, document

from views.activity.recorder import Entry, Life, Recorder
from views.ui.datetimes import clock_time
from views.ui.dom import listen
from views.ui.i18n import tr

SVG = "http://www.w3.org/2000/svg"
SHORTEST, LONGEST = 60, 600  # s, of what is in sight
LIVES_IN_SIGHT = 3
TOP, BAR, STRIP = 26, 18, 5  # px
LANES, LANE = 5, 12  # marks close in time are stacked; px
ROWS = {"refresh": 96, "request": 140, "retry": 140 + LANES * LANE + 24}  # px
WORDS = {"token lives": TOP - 10, "refreshes": 78, "requests": 124, "retries": ROWS["retry"] - 16}
BOTTOM = ROWS["retry"] + LANES * LANE  # px
HEIGHT = BOTTOM + 18
EDGE = 8  # px; now stays clear of the border, so that a mark is seen whole
CLOSE = 0.35  # s
EARLY = 0.5  # s; a token that was replaced long before its margin had none
PARTS = ("grid", "bars", "marks")
STEPS = {"ArrowLeft": -1, "ArrowRight": 1, "Home": -1_000, "End": 1_000}
SHAPES = {
    "request": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0",
    "refresh": "M0 -7L7 0L0 7L-7 0Z",
    "retry": "M0 -6L6 5H-6Z",
    "failed": "M-5 -5L5 5M-5 5L5 -5",
}


@dataclass(slots=True)
class Drawn:
    """What stands for one thing that was recorded.

    Attributes:
        what: the request or the token's life.
        element: can have the focus; its label says what it stands for.
        lane: how far it is moved down, so that marks close in time are all seen.
        said: the stage of it that its label tells of.
    """

    what: Entry | Life
    element: Any
    lane: int = 0
    said: str = ""

    @property
    def at(self) -> float:
        """When it began, in monotonic seconds."""
        return self.what.sent_at if isinstance(self.what, Entry) else self.what.born_at

    @property
    def is_in_sight(self) -> bool:
        """Whether it has not yet left by the left edge."""
        return bool(self.element.style.display != "none")

    def label(self, stage: str, words: Callable[[], str]) -> None:
        """Say what it is, to those who hear the page; anew at each stage alone."""
        if self.said != stage:
            self.said = stage
            self.element.setAttribute("aria-label", words())


class Timeline:
    """Draws what a recorder remembers.

    Args:
        svg: Where.
        details: Says what the bar or mark is that is pointed at or has the focus.
        recorder: Remembers what happened.
    """

    def __init__(self, svg: Any, details: Any, recorder: Recorder) -> None:
        self._svg = svg
        self._details = details
        self._recorder = recorder
        self._grid, self._bars, self._marks = (_add(svg, "g", name) for name in PARTS)
        self._drawn: dict[int, Drawn] = {}
        self._told: Any = None
        for event in ("pointerover", "focusin"):
            listen(svg, event, lambda js_event: self._point_at(js_event.target))
        listen(svg, "keydown", self._step)

    def draw(self) -> None:
        """Draw the present."""
        now, width = self._recorder.now(), max(int(self._svg.clientWidth), 1)
        span = self._span()
        scale = width / span
        self._svg.setAttribute("viewBox", f"0 0 {width} {HEIGHT}")
        self._draw_grid(width, span)
        self._forget_the_oldest()
        for life in self._recorder.lives:
            _draw_life(self._drawing_of(life), life, now, width, scale)
        for entry in self._recorder.entries:
            drawn = self._drawing_of(entry)
            _draw_mark(drawn, entry, width - EDGE - (now - entry.sent_at) * scale)
        self._keep_one_stop()
        self._tell()

    def _span(self) -> float:
        """How many seconds are in sight: some lives of a token, within reason."""
        lives = self._recorder.lives
        longest = max((life.dies_at - life.born_at for life in lives), default=0)
        return min(max(SHORTEST, LIVES_IN_SIGHT * longest), LONGEST)

    def _draw_grid(self, width: int, span: float) -> None:
        parts = [_text(tr(words), 4, y, "row") for words, y in WORDS.items()]
        for step in range(1, 6):
            x = width * step / 6
            parts.append(_shape("line", x1=x, x2=x, y1=TOP - 6, y2=BOTTOM))
            parts.append(_text(_ago(span * (6 - step) / 6), x, HEIGHT - 4, "tick"))
        parts.append(_text(tr("now"), width - 4, HEIGHT - 4, "tick now"))
        self._grid.replaceChildren(*parts)

    def _forget_the_oldest(self) -> None:
        kept = {id(what) for what in (*self._recorder.lives, *self._recorder.entries)}
        for key in self._drawn.keys() - kept:
            self._drawn.pop(key).element.remove()

    def _drawing_of(self, what: Entry | Life) -> Drawn:
        if id(what) not in self._drawn:
            self._drawn[id(what)] = self._draw_anew(what)
        return self._drawn[id(what)]

    def _draw_anew(self, what: Entry | Life) -> Drawn:
        if isinstance(what, Entry):
            return Drawn(what, _reachable(_add(self._marks, "path", "")), self._lane(what))
        return Drawn(what, _reachable(_add(self._bars, "g", "token")))

    def _lane(self, entry: Entry) -> int:
        taken = {
            drawn.lane
            for drawn in self._drawn.values()
            if isinstance(drawn.what, Entry)
            and drawn.what.kind == entry.kind
            and abs(drawn.at - entry.sent_at) < CLOSE
        }
        free = [lane for lane in range(LANES) if lane not in taken]
        return free[0] if free else len(self._drawn) % LANES

    # -- Reading it ----------------------------------------------------------------------------

    def _point_at(self, target: Any) -> None:
        # Between the marks the last word stands: they move, and the pointer may not.
        if element := target.closest("[role=img]"):
            self._told = element
            self._tell()

    def _tell(self) -> None:
        # Also as it changes: a request is answered, a token is renewed.
        words = self._told and self._told.getAttribute("aria-label")
        if words and self._details.textContent != words:
            self._details.textContent = words

    def _in_sight(self) -> list[Any]:
        """What can be reached, in the order of time."""
        drawn = sorted(self._drawn.values(), key=lambda drawn: drawn.at)
        return [one.element for one in drawn if one.is_in_sight]

    def _step(self, js_event: Any) -> None:
        """Arrow keys go on in time: the whole line is one stop of the Tab key."""
        reachable, here = self._in_sight(), document.activeElement
        if js_event.key not in STEPS or here not in reachable:
            return
        js_event.preventDefault()
        place = reachable.index(here) + STEPS[js_event.key]
        self._stop_at(reachable[min(max(place, 0), len(reachable) - 1)]).focus()

    def _keep_one_stop(self) -> None:
        """When the stop has left the picture, the next in time is the stop, and has its focus."""
        stop, reachable = self._svg.querySelector("[tabindex='0']"), self._in_sight()
        if not reachable or stop in reachable:
            return
        had_focus = stop is not None and stop == document.activeElement
        stop = self._stop_at(reachable[0])
        if had_focus:
            stop.focus()

    def _stop_at(self, element: Any) -> Any:
        if stop := self._svg.querySelector("[tabindex='0']"):
            stop.setAttribute("tabindex", "-1")
        element.setAttribute("tabindex", "0")
        return element


def describe(entry: Entry) -> str:
    """One entry in words: what, and what came of it."""
    kind, outcome = tr(entry.kind).capitalize(), tr(entry.outcome)
    if entry.took is None:
        return tr("{}: {}, {}", kind, entry.call, outcome)
    return tr("{}: {}, {} after {} ms", kind, entry.call, outcome, round(entry.took * 1000))


def describe_life(life: Life, now: float) -> str:
    """One access token's life in words: its times, and how it ended."""
    born, due, end = clock_times(life, now)
    how = life.how_it_ended(now)
    renewal = tr("refresh due {}", due) if due else tr("cannot be renewed")
    ending = tr("ended {}, {}", end, tr(how)) if how else tr("ends {}", end)
    return tr("Token: born {}, {}, {}", born, renewal, ending)


def clock_times(life: Life, now: float) -> tuple[str, str, str]:
    """When it was born, is due for a refresh (if it is), and ends or ended, by the clock."""

    def clock(at: float) -> str:
        return clock_time(Date.now() - (now - at) * 1000)

    due = "" if life.due_at is None else clock(life.due_at)
    return clock(life.born_at), due, clock(life.ended_at(now) or life.dies_at)


def _draw_life(drawn: Drawn, life: Life, now: float, width: int, scale: float) -> None:
    bars = _bars(life, now, width, scale)
    drawn.element.replaceChildren(*bars)
    drawn.element.style.display = "" if bars else "none"
    drawn.label(life.how_it_ended(now) or "good", lambda: describe_life(life, now))


def _bars(life: Life, now: float, width: int, scale: float) -> list[Any]:
    """A life as far as it was used, and below it the margin that was left."""

    def bar(name: str, start: float, end: float, y: float, height: float) -> list[Any]:
        left = max(width - EDGE - (now - start) * scale, 0)
        right = width - EDGE - (now - end) * scale
        if right - left < 1:
            return []
        return [_shape("rect", name, x=left, y=y, width=right - left - 1, height=height, rx=3)]

    parts = bar("life", life.born_at, min(life.replaced_at or now, life.dies_at), TOP, BAR)
    if life.due_at is not None and life.due_at <= (life.replaced_at or now) + EARLY:
        parts += bar("margin", life.due_at, min(life.dies_at, now), TOP + BAR + 3, STRIP)
    return parts


def _draw_mark(drawn: Drawn, entry: Entry, x: float) -> None:
    mark, y = drawn.element, ROWS[entry.kind] + drawn.lane * LANE
    mark.style.display = "none" if x < EDGE else ""
    mark.setAttribute("transform", f"translate({x:.1f} {y})")
    name = "failed" if entry.failed else entry.kind
    mark.setAttribute("d", SHAPES[name])
    mark.setAttribute("class", f"{name} {entry.kind} {'' if entry.took else 'open'}")
    drawn.label(entry.outcome, lambda: describe(entry))


def _reachable(element: Any) -> Any:
    element.setAttribute("role", "img")
    element.setAttribute("tabindex", "-1")
    return element


def _ago(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004 - as on a kitchen timer
        return tr("{} s", round(seconds))
    return tr("{} min", round(seconds / 60))


def _text(words: str, x: float, y: float, name: str) -> Any:
    text = _shape("text", name, x=x, y=y)
    text.textContent = words
    return text


def _shape(tag: str, name: str = "", **attributes: float) -> Any:
    shape = document.createElementNS(SVG, tag)
    if name:
        shape.setAttribute("class", name)
    for key, value in attributes.items():
        shape.setAttribute(key, f"{value:.1f}")
    return shape


def _add(parent: Any, tag: str, name: str) -> Any:
    shape = _shape(tag, name)
    parent.append(shape)
    return shape
