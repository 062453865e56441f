"""The marks of requests and the bars of tokens, as elements of the timeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from views.activity.descriptions import describe_entry, describe_lifetime
from views.activity.entries import Entry, State, TokenLifetime
from views.activity.layout import Spot
from views.activity.source import Source, Track
from views.activity.svg import shape
from views.ui.i18n import tr

BAR, STRIP = 18, 5  # px
EARLY = 0.5  # s; a token that was replaced longer before its margin did not reach it
CIRCLE = "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0"
DIAMOND = "M0 -7L7 0L0 7L-7 0Z"
STATES = get_args(State)
TICK = "M-2.6 0L-0.6 2.2L2.8 -2.2"
SHAPES = {
    "request": CIRCLE,
    "refresh": DIAMOND,
    "retry": "M0 -6L6 5H-6Z",
    "failed": "M-5 -5L5 5M-5 5L5 -5",
    "healed": CIRCLE + TICK,
    "healed refresh": DIAMOND + TICK,
}


@dataclass(slots=True, eq=False)
class Drawing:
    """The element that represents a request or a token.

    Attributes:
        subject: The request, or the token's lifetime.
        element: The element. It can be focused, and has a label.
        spot: Where a request's mark is.
        top: The top of the mark's row.
        track: The other tab that sent the request; None for this one.
        stage: The stage of the subject that the label describes.
        is_visible: Whether it is still inside the left edge.
        is_related: Whether it is part of the story that is shown.
    """

    subject: Entry | TokenLifetime
    element: Any
    spot: Spot | None = None
    top: float = 0
    track: Track | None = None
    stage: str = ""
    is_visible: bool = True
    is_related: bool = False

    @property
    def time(self) -> float:
        """When the subject began, in monotonic seconds."""
        return self.subject.sent_at if isinstance(self.subject, Entry) else self.subject.issued_at

    def distance(self, x: float, y: float) -> float:
        """Return how far its mark is from a point, in px; infinite where there is no mark."""
        if self.spot is None or not self.is_visible:
            return float("inf")
        return float(abs(complex(self.spot.x - x, self.top + self.spot.y - y)))

    def has_story_of(self, other: Drawing) -> bool:
        """Return whether both are requests of the same call, or the refresh that it started."""
        if not isinstance(self.subject, Entry) or not isinstance(other.subject, Entry):
            return False
        number = self.subject.number
        return number != 0 and number == other.subject.number and self.track == other.track

    def set_related(self, is_related: bool) -> None:  # noqa: FBT001 - it is all that is set
        """Make it stand out, or no longer."""
        if self.is_related != is_related:
            self.is_related = is_related
            self.element.classList.toggle("related", is_related)

    def draw_mark(self, entry: Entry, spot: Spot, top: float, *, is_visible: bool) -> None:
        """Draw a request at its place."""
        mark, self.spot, self.top = self.element, spot, top
        self._show(is_visible=is_visible)
        place = f"translate({spot.x:.1f} {top + spot.y:.1f}) scale({spot.scale:.2f})"
        mark.setAttribute("transform", place)
        stage = f"{entry.state} {entry.outcome}"
        if self.stage != stage:  # Few change: most marks only move.
            related = " related" if self.is_related else ""
            mark.setAttribute("class", f"mark {entry.kind} {entry.state}{related}")
            mark.setAttribute("d", _outline(entry))
        self._set_label(stage, lambda: self._describe(entry))

    def draw_bar(
        self, lifetime: TokenLifetime, source: Source, place: Callable[[float], float]
    ) -> None:
        """Draw a token's lifetime; ``place`` returns the x of a time."""
        now = source.now()
        bars = _bars(lifetime, now, place)
        self.element.replaceChildren(*bars)
        self._show(is_visible=bool(bars))
        stage = lifetime.end_reason(now) or "valid"
        self._set_label(stage, lambda: describe_lifetime(lifetime, source))

    def _describe(self, entry: Entry) -> str:
        text = describe_entry(entry)
        return text if self.track is None else tr("{}, in another tab", text)

    def _show(self, *, is_visible: bool) -> None:
        if self.is_visible != is_visible:
            self.is_visible = is_visible
            self.element.style.display = "" if is_visible else "none"

    def _set_label(self, stage: str, describe: Callable[[], str]) -> None:
        """Set the accessible label; update it only when the stage changes."""
        if self.stage != stage:
            self.stage = stage
            self.element.setAttribute("aria-label", describe())


def legend_icon(mark: str) -> Any:
    """Return a picture of a mark or a bar, as the timeline draws it."""
    icon = shape("svg", "icon")
    icon.setAttribute("viewBox", "-8 -8 16 16")
    icon.setAttribute("aria-hidden", "true")
    if mark in {"lifetime", "margin"}:
        height = 12 if mark == "lifetime" else STRIP
        icon.append(shape("rect", mark, x=-8, y=-height / 2, width=16, height=height, rx=2))
        return icon
    path = shape("path", f"mark request {mark}" if mark in STATES else f"mark {mark} done")
    path.setAttribute("d", SHAPES.get(mark, CIRCLE))
    icon.append(path)
    return icon


def _outline(entry: Entry) -> str:
    if entry.state == "healed":
        return SHAPES.get(f"healed {entry.kind}", SHAPES["healed"])
    return SHAPES["failed" if entry.failed else entry.kind]


def _bars(lifetime: TokenLifetime, now: float, place: Callable[[float], float]) -> list[Any]:
    """Return the bar of a lifetime until its end, and below it the part after the refresh time."""

    def bar(name: str, start: float, end: float, y: float, height: float) -> list[Any]:
        left, right = max(place(start), 0), place(min(end, now))
        if right - left < 1:
            return []
        return [shape("rect", name, x=left, y=y, width=right - left - 1, height=height, rx=3)]

    end = lifetime.ended_at or now
    bars = bar("lifetime", lifetime.issued_at, min(end, lifetime.expires_at), 0, BAR)
    if lifetime.refresh_at is not None and lifetime.refresh_at <= end + EARLY:
        margin_end = min(lifetime.expires_at, now)
        bars += bar("margin", lifetime.refresh_at, margin_end, BAR + 3, STRIP)
    return bars
