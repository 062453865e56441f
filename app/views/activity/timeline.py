"""The timeline: draws tokens, refreshes and requests; the present is at the right edge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from js import document

from views.activity.descriptions import clock
from views.activity.drawings import Drawing
from views.activity.entries import Entry, Kind, TokenLifetime
from views.activity.layout import arrange
from views.activity.source import Source, Track
from views.activity.story import story_of
from views.activity.svg import append, focusable, shape, text
from views.ui.dom import listen
from views.ui.i18n import tr, tr_plural

MIN_SPAN, MAX_SPAN = 60, 600  # s; the width of the timeline
FIRST_SPANS = (MIN_SPAN, 180)  # s; as long as there is no more to see
VISIBLE_LIFETIMES = 3
TOP = 26  # px
ROWS: dict[Kind, tuple[str, int, int]] = {  # the name, the top and the height in px
    "refresh": ("refreshes", 88, 24),
    "request": ("requests", 136, 60),
    "retry": ("retries", 220, 60),
}
LABEL = 8  # px between a row and its name
BOTTOM = 280  # px
TAB_ROW, TAB_HEIGHT = 60, 36  # px
NOTE = 20  # px
MAX_TABS = 4
AXIS = 22  # px
WIDE = 400  # px; below that only each second tick has space for its label
EDGE = 8  # px; keeps the newest mark clear of the border
CHARACTER, TICK = 7, 18  # px; the width of a character, and of half a tick's label
FINGER = 24  # px; a tap this near to a mark means it
REM = 16  # px
GROUPS = ("grid", "bars", "marks")
STEPS = {
    "ArrowLeft": -1,
    "ArrowRight": 1,
    "PageUp": -10,
    "PageDown": 10,
    "Home": -10_000,
    "End": 10_000,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of marks.

    Attributes:
        name: Its label.
        top: Its upper edge, in px.
        height: Its height, in px.
        entries: The requests, by the time when they were sent.
        track: The other tab that sent them; None for this one.
    """

    name: str
    top: float
    height: float
    entries: Sequence[Entry]
    track: Track | None = None


class Timeline:
    """Draws the contents of a source.

    Args:
        svg: The SVG element to draw in.
        details: The element that describes the drawing under the pointer or with the focus.
        source: What to draw.
    """

    def __init__(self, svg: Any, details: Any, source: Source) -> None:
        self._svg = svg
        self._label, self._story = details.children
        self._hint = self._label.textContent
        self._source = source
        self._grid, self._bars, self._marks = (append(svg, "g", name) for name in GROUPS)
        self._bars.setAttribute("transform", f"translate(0 {TOP})")
        self._drawings: dict[int, Drawing] = {}
        self._described: Drawing | None = None
        self._steps: list[str] = []
        for event in ("pointerover", "focusin"):
            listen(svg, event, lambda js_event: self._on_point(js_event.target))
        listen(svg, "pointerdown", self._on_tap)
        listen(svg, "keydown", self._on_key)

    def show(self, source: Source) -> None:
        """Draw another source from now on; the story that is shown is none of its."""
        self._source = source
        self._described, self._steps = None, []
        self._label.textContent = self._hint
        self._story.replaceChildren()
        self.draw()

    def draw(self) -> None:
        """Draw the current state."""
        now, width = self._source.now(), max(int(self._svg.clientWidth), 1)
        span, others = self._span(), self._source.others
        tracks, unseen = others[-MAX_TABS:], len(others[MAX_TABS:])
        bottom = BOTTOM + len(tracks) * TAB_ROW + (NOTE if unseen else 0)

        def place(time: float) -> float:
            return width - EDGE - (now - time) * width / span

        self._svg.setAttribute("viewBox", f"0 0 {width} {bottom + AXIS}")
        self._svg.style.height = f"{(bottom + AXIS) / REM}rem"
        self._remove_dropped(tracks)
        for lifetime in self._source.lifetimes:
            self._drawing_of(lifetime).draw_bar(lifetime, self._source, place)
        rows = list(_rows(self._source.entries, tracks))
        labels = [label for row in rows for label in self._draw_row(row, place, width)]
        names = [text(row.name, 4, row.top - LABEL, "row") for row in rows]
        edge = clock(now, self._source) if self._source.is_past else tr("now")
        grid = _grid(width, bottom, span, edge)
        self._grid.replaceChildren(*grid, *_unseen(unseen, bottom), *names, *labels)
        self._keep_tab_stop()
        self._update_details()

    def _span(self) -> float:
        """Return how many seconds to show: some lifetimes of a token, or less at first."""
        lifetimes = self._source.lifetimes
        longest = max((one.expires_at - one.issued_at for one in lifetimes), default=0)
        wanted = min(max(MIN_SPAN, VISIBLE_LIFETIMES * longest), MAX_SPAN)
        begun = min((one.issued_at for one in lifetimes), default=float("-inf"))
        age = self._source.now() - begun
        return next((span for span in FIRST_SPANS if age <= span < wanted), wanted)

    def _draw_row(self, row: Row, place: Callable[[float], float], width: int) -> Iterator[Any]:
        """Draw the marks of a row; yield the labels of the large groups."""
        groups = arrange([place(entry.sent_at) for entry in row.entries], row.height)
        spots = (spot for group in groups for spot in group.spots)
        for entry, spot in zip(row.entries, spots, strict=True):
            drawing = self._drawing_of(entry, row.track)
            is_visible = EDGE <= spot.x <= width
            drawing.draw_mark(entry, spot, row.top, is_visible=is_visible)
        for group in groups:
            if group.label and EDGE <= group.left <= width:
                yield text(group.label, group.right, row.top - 4, "size")

    def _remove_dropped(self, tracks: Sequence[Track]) -> None:
        """Remove the drawings of what the source has dropped."""
        kept = {id(one) for one in (*self._source.lifetimes, *self._source.entries)}
        kept |= {id(entry) for track in tracks for entry in track.entries}
        for key in self._drawings.keys() - kept:
            dropped = self._drawings.pop(key)
            dropped.element.remove()
            if dropped is self._described:
                self._described = None  # Its story stays to be read, but is over.

    def _drawing_of(self, subject: Entry | TokenLifetime, track: Track | None = None) -> Drawing:
        if id(subject) not in self._drawings:
            is_entry = isinstance(subject, Entry)
            place = (self._marks, "path", "") if is_entry else (self._bars, "g", "token")
            element = focusable(append(*place))
            self._drawings[id(subject)] = Drawing(subject, element, track=track)
        return self._drawings[id(subject)]

    # -- Pointer and keyboard ------------------------------------------------------------------

    def _on_point(self, target: Any) -> None:
        # Between the drawings the last description stays: they move, and the pointer may not.
        if element := target.closest("[role=img]"):
            self._describe(next(one for one in self._drawings.values() if one.element == element))

    def _on_tap(self, js_event: Any) -> None:
        """Describe the nearest mark: most are smaller than a finger."""
        box = self._svg.getBoundingClientRect()
        x, y = js_event.clientX - box.left, js_event.clientY - box.top
        nearest = min(self._drawings.values(), key=lambda one: one.distance(x, y), default=None)
        if nearest is not None and nearest.distance(x, y) <= FINGER:
            self._describe(nearest)

    def _describe(self, drawing: Drawing) -> None:
        self._described = drawing
        self._update_details()

    def _update_details(self) -> None:
        # The description changes too, when a response arrives or a token is renewed.
        drawing = self._described
        if drawing is None:
            return
        self._mark_related(drawing)
        label = drawing.element.getAttribute("aria-label")
        steps = self._story_of(drawing)
        if self._label.textContent != label:
            self._label.textContent = label
        if self._steps != steps:
            self._steps = steps
            self._story.replaceChildren(*map(_step, steps))

    def _mark_related(self, described: Drawing) -> None:
        """Make the requests of the same story stand out."""
        for drawing in self._drawings.values():
            drawing.set_related(drawing is described or drawing.has_story_of(described))

    def _story_of(self, drawing: Drawing) -> list[str]:
        if not isinstance(drawing.subject, Entry):
            return []
        tracks = [self._source.entries, *(track.entries for track in self._source.others)]
        own = next((one for one in tracks if drawing.subject in one), tracks[0])
        elsewhere = [entry for track in tracks if track is not own for entry in track]
        return story_of(drawing.subject, own, elsewhere)

    def _visible(self) -> list[Any]:
        """Return the visible elements, ordered by time."""
        drawings = sorted(self._drawings.values(), key=lambda drawing: drawing.time)
        return [drawing.element for drawing in drawings if drawing.is_visible]

    # The timeline is a single tab stop, within which the arrow keys move ("roving tabindex", ARIA
    # Authoring Practices).

    def _on_key(self, js_event: Any) -> None:
        visible, current = self._visible(), document.activeElement
        if js_event.key not in STEPS or current not in visible:
            return
        js_event.preventDefault()
        index = visible.index(current) + STEPS[js_event.key]
        self._set_tab_stop(visible[min(max(index, 0), len(visible) - 1)]).focus()

    def _keep_tab_stop(self) -> None:
        """When the tab stop has left the timeline, move it and the focus to the oldest element."""
        stop, visible = self._svg.querySelector("[tabindex='0']"), self._visible()
        if not visible or stop in visible:
            return
        had_focus = stop is not None and stop == document.activeElement
        stop = self._set_tab_stop(visible[0])
        if had_focus:
            stop.focus()

    def _set_tab_stop(self, element: Any) -> Any:
        if stop := self._svg.querySelector("[tabindex='0']"):
            stop.setAttribute("tabindex", "-1")
        element.setAttribute("tabindex", "0")
        return element


def _rows(entries: Sequence[Entry], tracks: Sequence[Track]) -> Iterator[Row]:
    """Yield three rows for the requests of this tab, and one for each other tab."""
    for kind, (name, top, height) in ROWS.items():
        yield Row(tr(name), top, height, [entry for entry in entries if entry.kind == kind])
    for index, track in enumerate(tracks):
        top = BOTTOM + index * TAB_ROW + TAB_ROW - TAB_HEIGHT
        yield Row(tr("other tab {}", track.number), top, TAB_HEIGHT, track.entries, track)


def _unseen(count: int, bottom: float) -> Iterator[Any]:
    """Yield how many tabs have no row."""
    if count:
        note = tr_plural(count, "1 more tab is in the table", "{} more tabs are in the table")
        yield text(note, 4, bottom - LABEL, "row")


def _grid(width: int, bottom: float, span: float, edge: str) -> Iterator[Any]:
    yield text(tr("tokens"), 4, TOP - 10, "row")
    free = width - 4 - len(edge) * CHARACTER - TICK
    for step in range(1, 6) if width >= WIDE else (2, 4):
        x = width * step / 6
        yield shape("line", x1=x, x2=x, y1=TOP - 6, y2=bottom)
        if x < free:
            yield text(_duration(span * (6 - step) / 6), x, bottom + AXIS - 8, "tick")
    yield text(edge, width - 4, bottom + AXIS - 8, "tick now")


def _duration(seconds: float) -> str:
    if seconds < 180:  # noqa: PLR2004 - three minutes
        return tr("{} s", round(seconds))
    return tr("{} min", round(seconds / 60))


def _step(content: str) -> Any:
    step = document.createElement("li")
    step.textContent = content
    return step
