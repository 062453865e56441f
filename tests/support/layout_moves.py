"""How far a page's landmarks move while it starts, for engines that do not report layout shifts.

A shift counts as in https://web.dev/articles/cls: the share of the window that what moves covers,
before and after, times the distance as a share of the window's longer side. A landmark is the same
one although another element has taken its place, such as a view that of its frame.
"""

from __future__ import annotations

from typing import TypedDict


class Move(TypedDict):
    """Landmarks that moved from one picture to the next.

    Attributes:
        names: Which ones.
        value: How much that is.
    """

    names: list[str]
    value: float


class Layout(TypedDict):
    """What was seen of a page.

    Attributes:
        seen: The landmarks that were visible at any time.
        moves: How they moved.
    """

    seen: list[str]
    moves: list[Move]


LAYOUT = "globalThis.layout"
"""What was seen so far: a ``Layout``."""

# Runs before the page's own scripts, and samples each picture from the first one on.
SAMPLE_LAYOUT = """
globalThis.layout = { seen: [], moves: [] };
void (() => {
    const LANDMARKS = {
        header: "body > header",
        main: "main",
        heading: "h1",
        form: "main form",
        button: "#sign-in [type=submit]",
    };
    const isDrawn = () => performance.getEntriesByName("first-contentful-paint").length > 0;
    const isVisible = (element) => element.checkVisibility({ visibilityProperty: true });
    const find = (selector) => [...document.querySelectorAll(selector)].find(isVisible);
    const inWindow = ({ left, top, right, bottom }) => [
        Math.max(left, 0), Math.max(top, 0),
        Math.min(right, innerWidth), Math.min(bottom, innerHeight),
    ];
    const sorted = (numbers) => [...new Set(numbers)].sort((one, other) => one - other);
    const covered = (boxes) => {
        const xs = sorted(boxes.flatMap(([left, , right]) => [left, right]));
        const ys = sorted(boxes.flatMap(([, top, , bottom]) => [top, bottom]));
        const has = (x, y) => boxes.some(
            ([left, top, right, bottom]) => left <= x && x < right && top <= y && y < bottom);
        const column = (x) => ys.slice(0, -1).reduce(
            (sum, y, index) => sum + (has(x, y) ? ys[index + 1] - y : 0), 0);
        return xs.slice(0, -1).reduce((sum, x, index) => sum + (xs[index + 1] - x) * column(x), 0);
    };
    const places = () => Object.entries(LANDMARKS)
        .map(([name, selector]) => [name, find(selector)?.getBoundingClientRect()])
        .filter(([, box]) => box);
    let before = new Map();
    const distance = ([name, { left, top }]) => {
        const last = before.get(name) ?? { left, top };
        return Math.max(Math.abs(left - last.left), Math.abs(top - last.top));
    };
    const compare = (now) => {
        const moved = now.filter((one) => distance(one) > 0);
        if (!moved.length) return;
        const boxes = moved.flatMap(([name, box]) => [before.get(name), box].map(inWindow));
        const affected = covered(boxes) / (innerWidth * innerHeight);
        const farthest = Math.max(...moved.map(distance)) / Math.max(innerWidth, innerHeight);
        layout.moves.push({ names: moved.map(([name]) => name), value: affected * farthest });
    };
    const sample = () => {
        requestAnimationFrame(sample);
        if (!isDrawn()) return;
        const now = places();
        compare(now);
        before = new Map(now);
        layout.seen = [...new Set([...layout.seen, ...before.keys()])];
    };
    sample();
})();
"""


def shift(layout: Layout) -> float:
    """Return the sum of all moves."""
    return sum(move["value"] for move in layout["moves"])
