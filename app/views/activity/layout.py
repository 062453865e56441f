"""Arranges simultaneous marks in groups, so that every mark is seen and none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

PITCH = 12.0  # px between marks of full size
PITCHES = (PITCH, 8.5, 6.0)  # The larger a group, the smaller its marks.
WIDE = 40.0  # px; a group is made of smaller marks rather than wider, as long as there are any
GAP = 3.0  # px between groups
LABELLED = 10  # A group of so many has its size written above it.


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a mark is drawn.

    Attributes:
        x: Its middle, in px.
        y: Its middle, in px below the top of its row.
        scale: Its size; 1 for a mark that is by itself.
    """

    x: float
    y: float
    scale: float


@dataclass(frozen=True, slots=True)
class Group:
    """Marks of the same moment.

    Attributes:
        spots: The places of the marks, in their order.
        left: The group's left edge, in px.
        right: The group's right edge, in px.
    """

    spots: list[Spot]
    left: float
    right: float

    @property
    def label(self) -> str:
        """The number of its marks, if they are too many to be counted at a glance."""
        size = len(self.spots)
        return f"\N{MULTIPLICATION SIGN}{size}" if size >= LABELLED else ""


def arrange(times: Sequence[float], height: float) -> list[Group]:
    """Return the groups of a row of marks.

    A group begins with a mark that is clear of those before it. It ends where its moment is, and
    extends to the left; a newer group pushes it to the left rather than covering it.

    Args:
        times: Where each mark belongs, in px, ascending.
        height: The height of the row, in px.
    """
    moments: list[list[float]] = []
    for x in times:
        if moments and x - moments[-1][0] < PITCH:
            moments[-1].append(x)
        else:
            moments.append([x])
    groups: list[Group] = []
    limit = float("inf")
    for moment in reversed(moments):
        group = _group(len(moment), moment[-1], limit, height)
        limit = group.left - GAP
        groups.insert(0, group)
    return groups


def _group(size: int, x: float, limit: float, height: float) -> Group:
    pitch = next((one for one in PITCHES if _width(size, one, height) <= WIDE), PITCHES[-1])
    lanes = _lanes(pitch, height)
    right = min(x + pitch / 2, limit)
    left = right - _width(size, pitch, height)
    spots = [
        Spot(left + (i // lanes + 0.5) * pitch, (i % lanes + 0.5) * pitch, pitch / PITCH)
        for i in range(size)
    ]
    return Group(spots, left, right)


def _lanes(pitch: float, height: float) -> int:
    return max(int(height / pitch), 1)


def _width(size: int, pitch: float, height: float) -> float:
    return ceil(size / _lanes(pitch, height)) * pitch
