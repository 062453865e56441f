"""The timeline: draws tokens, refreshes and requests; the present is at the right edge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from js import Date, document

from views.activity.recorder import Entry, Recorder, TokenLifetime
from views.ui.datetimes import clock_time
from views.ui.dom import listen
from views.ui.i18n import tr

SVG = "http://www.w3.org/2000/svg"
MIN_SPAN, MAX_SPAN = 60, 600  # s; the width of the timeline
VISIBLE_LIFETIMES = 3
TOP, BAR, STRIP = 26, 18, 5  # px
LANES, LANE = 5, 12  # px; simultaneous marks are stacked in lanes
ROWS = {"refresh": 96, "request": 140, "retry": 140 + LANES * LANE + 24}  # px
LABELS = {"tokens": TOP - 10, "refreshes": 78, "requests": 124, "retries": ROWS["retry"] - 16}
BOTTOM = ROWS["retry"] + LANES * LANE  # px
HEIGHT = BOTTOM + 18
EDGE = 8  # px; keeps the newest mark clear of the border
SIMULTANEOUS = 0.35  # s
EARLY = 0.5  # s; a token that was replaced longer before its margin did not reach it
GROUPS = ("grid", "bars", "marks")
STEPS = {"ArrowLeft": -1, "ArrowRight": 1, "Home": -1_000, "End": 1_000}
SHAPES = {
    "request": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0",
    "refresh": "M0 -7L7 0L0 7L-7 0Z",
    "retry": "M0 -6L6 5H-6Z",
    "failed": "M-5 -5L5 5M-5 5L5 -5",
}


@dataclass(slots=True)
class Drawing:
    """The element that represents a request or a token.

    Attributes:
        subject: The request, or the token's lifetime.
        element: The element. It can be focused, and has a label.
        lane: Its lane in the row, so that simultaneous marks do not cover each other.
        stage: The stage of the subject that the label describes.
    """

    subject: Entry | TokenLifetime
    element: Any
    lane: int = 0
    stage: str = ""

    @property
    def time(self) -> float:
        """When the subject began, in monotonic seconds."""
        return self.subject.sent_at if isinstance(self.subject, Entry) else self.subject.issued_at

    @property
    def is_visible(self) -> bool:
        """Whether it is still inside the left edge."""
        return bool(self.element.style.display != "none")

    def set_label(self, stage: str, describe: Callable[[], str]) -> None:
        """Set the accessible label; update it only when the stage changes."""
        if self.stage != stage:
            self.stage = stage
            self.element.setAttribute("aria-label", describe())


class Timeline:
    """Draws the contents of a recorder.

    Args:
        svg: The SVG element to draw in.
        details: The element that describes the drawing under the pointer or with the focus.
        recorder: The recorder.
    """

    def __init__(self, svg: Any, details: Any, recorder: Recorder) -> None:
        self._svg = svg
        self._details = details
        self._recorder = recorder
        self._grid, self._bars, self._marks = (_append(svg, "g", name) for name in GROUPS)
        self._drawings: dict[int, Drawing] = {}
        self._described: Any = None
        for event in ("pointerover", "focusin"):
            listen(svg, event, lambda js_event: self._on_point(js_event.target))
        listen(svg, "keydown", self._on_key)

    def draw(self) -> None:
        """Draw the current state."""
        now, width = self._recorder.now(), max(int(self._svg.clientWidth), 1)
        span = self._span()
        scale = width / span
        self._svg.setAttribute("viewBox", f"0 0 {width} {HEIGHT}")
        self._draw_grid(width, span)
        self._remove_dropped()
        for lifetime in self._recorder.lifetimes:
            _draw_lifetime(self._drawing_of(lifetime), lifetime, now, width, scale)
        for entry in self._recorder.entries:
            drawing = self._drawing_of(entry)
            _draw_mark(drawing, entry, width - EDGE - (now - entry.sent_at) * scale)
        self._keep_tab_stop()
        self._update_details()

    def _span(self) -> float:
        """Return how many seconds to show: some lifetimes of a token, within limits."""
        lifetimes = self._recorder.lifetimes
        longest = max((one.expires_at - one.issued_at for one in lifetimes), default=0)
        return min(max(MIN_SPAN, VISIBLE_LIFETIMES * longest), MAX_SPAN)

    def _draw_grid(self, width: int, span: float) -> None:
        parts = [_text(tr(label), 4, y, "row") for label, y in LABELS.items()]
        for step in range(1, 6):
            x = width * step / 6
            parts.append(_shape("line", x1=x, x2=x, y1=TOP - 6, y2=BOTTOM))
            parts.append(_text(_duration(span * (6 - step) / 6), x, HEIGHT - 4, "tick"))
        parts.append(_text(tr("now"), width - 4, HEIGHT - 4, "tick now"))
        self._grid.replaceChildren(*parts)

    def _remove_dropped(self) -> None:
        """Remove the drawings of what the recorder has dropped."""
        kept = {id(one) for one in (*self._recorder.lifetimes, *self._recorder.entries)}
        for key in self._drawings.keys() - kept:
            self._drawings.pop(key).element.remove()

    def _drawing_of(self, subject: Entry | TokenLifetime) -> Drawing:
        if id(subject) not in self._drawings:
            self._drawings[id(subject)] = self._new_drawing(subject)
        return self._drawings[id(subject)]

    def _new_drawing(self, subject: Entry | TokenLifetime) -> Drawing:
        if isinstance(subject, Entry):
            element = _focusable(_append(self._marks, "path", ""))
            return Drawing(subject, element, self._free_lane(subject))
        return Drawing(subject, _focusable(_append(self._bars, "g", "token")))

    def _free_lane(self, entry: Entry) -> int:
        taken = {
            drawing.lane
            for drawing in self._drawings.values()
            if isinstance(drawing.subject, Entry)
            and drawing.subject.kind == entry.kind
            and abs(drawing.time - entry.sent_at) < SIMULTANEOUS
        }
        free = [lane for lane in range(LANES) if lane not in taken]
        return free[0] if free else len(self._drawings) % LANES

    # -- Pointer and keyboard ------------------------------------------------------------------

    def _on_point(self, target: Any) -> None:
        # Between the drawings the last description stays: they move, and the pointer may not.
        if element := target.closest("[role=img]"):
            self._described = element
            self._update_details()

    def _update_details(self) -> None:
        # The description changes too, when a response arrives or a token is renewed.
        label = self._described and self._described.getAttribute("aria-label")
        if label and self._details.textContent != label:
            self._details.textContent = label

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


def describe_entry(entry: Entry) -> str:
    """Return a description of a request and its outcome."""
    kind, outcome = tr(entry.kind).capitalize(), tr(entry.outcome)
    if entry.duration is None:
        return tr("{}: {}, {}", kind, entry.call, outcome)
    return tr("{}: {}, {} after {} ms", kind, entry.call, outcome, round(entry.duration * 1000))


def describe_lifetime(lifetime: TokenLifetime, now: float) -> str:
    """Return a description of a token's lifetime: its times, and why it ended."""
    issued, due, ended = clock_times(lifetime, now)
    reason = lifetime.end_reason(now)
    refresh = tr("refresh due {}", due) if due else tr("cannot be renewed")
    end = tr("ended {}, {}", ended, tr(reason)) if reason else tr("expires {}", ended)
    return tr("Token: issued {}, {}, {}", issued, refresh, end)


def clock_times(lifetime: TokenLifetime, now: float) -> tuple[str, str, str]:
    """Return when it was issued, when its refresh is due ("" for never), and when it ends."""

    def clock(at: float) -> str:
        return clock_time(Date.now() - (now - at) * 1000)

    due = "" if lifetime.refresh_at is None else clock(lifetime.refresh_at)
    return clock(lifetime.issued_at), due, clock(lifetime.end_time(now) or lifetime.expires_at)


def _draw_lifetime(
    drawing: Drawing, lifetime: TokenLifetime, now: float, width: int, scale: float
) -> None:
    bars = _bars(lifetime, now, width, scale)
    drawing.element.replaceChildren(*bars)
    drawing.element.style.display = "" if bars else "none"
    stage = lifetime.end_reason(now) or "valid"
    drawing.set_label(stage, lambda: describe_lifetime(lifetime, now))


def _bars(lifetime: TokenLifetime, now: float, width: int, scale: float) -> list[Any]:
    """Return the bar of a lifetime until its end, and below it the part after the refresh time."""

    def bar(name: str, start: float, end: float, y: float, height: float) -> list[Any]:
        left = max(width - EDGE - (now - start) * scale, 0)
        right = width - EDGE - (now - end) * scale
        if right - left < 1:
            return []
        return [_shape("rect", name, x=left, y=y, width=right - left - 1, height=height, rx=3)]

    end = lifetime.ended_at or now
    bars = bar("lifetime", lifetime.issued_at, min(end, lifetime.expires_at), TOP, BAR)
    if lifetime.refresh_at is not None and lifetime.refresh_at <= end + EARLY:
        margin_end = min(lifetime.expires_at, now)
        bars += bar("margin", lifetime.refresh_at, margin_end, TOP + BAR + 3, STRIP)
    return bars


def _draw_mark(drawing: Drawing, entry: Entry, x: float) -> None:
    mark, y = drawing.element, ROWS[entry.kind] + drawing.lane * LANE
    mark.style.display = "none" if x < EDGE else ""
    mark.setAttribute("transform", f"translate({x:.1f} {y})")
    name = "failed" if entry.failed else entry.kind
    mark.setAttribute("d", SHAPES[name])
    mark.setAttribute("class", f"{name} {entry.kind} {'' if entry.duration else 'open'}")
    drawing.set_label(entry.outcome, lambda: describe_entry(entry))


def _focusable(element: Any) -> Any:
    element.setAttribute("role", "img")
    element.setAttribute("tabindex", "-1")
    return element


def _duration(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return tr("{} s", round(seconds))
    return tr("{} min", round(seconds / 60))


def _text(content: str, x: float, y: float, name: str) -> Any:
    text = _shape("text", name, x=x, y=y)
    text.textContent = content
    return text


def _shape(tag: str, name: str = "", **attributes: float) -> Any:
    shape = document.createElementNS(SVG, tag)
    if name:
        shape.setAttribute("class", name)
    for key, value in attributes.items():
        shape.setAttribute(key, f"{value:.1f}")
    return shape


def _append(parent: Any, tag: str, name: str) -> Any:
    shape = _shape(tag, name)
    parent.append(shape)
    return shape
