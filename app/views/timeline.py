"""The time line: tokens, refreshes and requests as they pass, now at the right edge."""

from typing import Any

from js import document

from .dom import listen
from .recorder import Entry, Life, Recorder

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
SHAPES = {
    "request": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0",
    "refresh": "M0 -7L7 0L0 7L-7 0Z",
    "retry": "M0 -6L6 5H-6Z",
    "failed": "M-5 -5L5 5M-5 5L5 -5",
}


class Timeline:
    """Draws what a recorder remembers.

    Args:
        svg: Where.
        details: Says what the mark is that is pointed at or has the focus.
        recorder: Remembers what happened.
    """

    def __init__(self, svg: Any, details: Any, recorder: Recorder) -> None:
        self._svg = svg
        self._details = details
        self._recorder = recorder
        self._grid, self._bars, self._marks = (_add(svg, "g", name) for name in PARTS)
        self._drawn: dict[int, tuple[Entry, Any, int]] = {}
        self._at = 0
        for event in ("pointerover", "focusin"):
            listen(svg, event, lambda js_event: self._tell(js_event.target))
        listen(svg, "keydown", self._step)

    def draw(self) -> None:
        """Draw the present."""
        now, width = self._recorder.now(), max(int(self._svg.clientWidth), 1)
        span = self._span()
        scale = width / span
        self._svg.setAttribute("viewBox", f"0 0 {width} {HEIGHT}")
        self._draw_grid(width, span)
        self._bars.replaceChildren(
            *(part for life in self._recorder.lives for part in _bars(life, now, width, scale))
        )
        self._draw_marks(now, width, scale)

    def _span(self) -> float:
        """How many seconds are in sight: some lives of a token, within reason."""
        lives = self._recorder.lives
        longest = max((life.dies_at - life.born_at for life in lives), default=0)
        return min(max(SHORTEST, LIVES_IN_SIGHT * longest), LONGEST)

    def _draw_grid(self, width: int, span: float) -> None:
        parts = [_text(words, 4, y, "row") for words, y in WORDS.items()]
        for step in range(1, 6):
            x = width * step / 6
            parts.append(_shape("line", x1=x, x2=x, y1=TOP - 6, y2=BOTTOM))
            parts.append(_text(_ago(span * (6 - step) / 6), x, HEIGHT - 4, "tick"))
        parts.append(_text("now", width - 4, HEIGHT - 4, "tick now"))
        self._grid.replaceChildren(*parts)

    def _draw_marks(self, now: float, width: int, scale: float) -> None:
        entries = {id(entry): entry for entry in self._recorder.entries}
        for key in [key for key in self._drawn if key not in entries]:
            self._drawn.pop(key)[1].remove()
        for key, entry in entries.items():
            if key not in self._drawn:
                self._drawn[key] = (entry, self._mark(), self._lane(entry))
            _, mark, lane = self._drawn[key]
            x = width - EDGE - (now - entry.sent_at) * scale
            _place(mark, entry, x, ROWS[entry.kind] + lane * LANE)

    def _mark(self) -> Any:
        mark = _add(self._marks, "path", "")
        mark.setAttribute("role", "img")
        mark.setAttribute("tabindex", "-1" if self._marks.childElementCount > 1 else "0")
        return mark

    def _lane(self, entry: Entry) -> int:
        taken = {
            lane
            for other, _, lane in self._drawn.values()
            if other.kind == entry.kind and abs(other.sent_at - entry.sent_at) < CLOSE
        }
        free = [lane for lane in range(LANES) if lane not in taken]
        return free[0] if free else len(self._drawn) % LANES

    # -- Reading it ----------------------------------------------------------------------------

    def _tell(self, target: Any) -> None:
        # Between the marks the last word stands: they move, and the pointer may not.
        if target.getAttribute("role") == "img":
            self._details.textContent = target.getAttribute("aria-label")

    def _step(self, js_event: Any) -> None:
        """Arrow keys go from mark to mark: the whole line is one stop of the Tab key."""
        steps = {"ArrowLeft": -1, "ArrowRight": 1}
        marks = [mark for mark in self._marks.children if mark.style.display != "none"]
        here = document.activeElement
        if js_event.key not in steps or here not in marks:
            return
        js_event.preventDefault()
        there = marks[min(max(marks.index(here) + steps[js_event.key], 0), len(marks) - 1)]
        here.setAttribute("tabindex", "-1")
        there.setAttribute("tabindex", "0")
        there.focus()


def describe(entry: Entry) -> str:
    """One entry in words: what, and what came of it."""
    took = "" if entry.took is None else f" after {round(entry.took * 1000)} ms"
    return f"{entry.kind.capitalize()}: {entry.call}, {entry.outcome}{took}"


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


def _place(mark: Any, entry: Entry, x: float, y: float) -> None:
    mark.style.display = "none" if x < EDGE else ""
    mark.setAttribute("transform", f"translate({x:.1f} {y})")
    name = "failed" if entry.failed else entry.kind
    mark.setAttribute("d", SHAPES[name])
    mark.setAttribute("class", f"{name} {entry.kind} {'' if entry.took else 'open'}")
    mark.setAttribute("aria-label", describe(entry))


def _ago(seconds: float) -> str:
    return f"{round(seconds)} s" if seconds < 120 else f"{round(seconds / 60)} min"  # noqa: PLR2004


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
