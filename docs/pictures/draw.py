"""Draws the pictures of the protocol beside itself: SVG, readable on light ground and on dark.

    python docs/pictures/draw.py

Each picture is a list of what happens between actors, from above to below.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
COLUMN, ROW, EDGE, TOP = 250, 42, 120, 62  # pixels
SVG = 'xmlns="http://www.w3.org/2000/svg" role="img"'
STYLE = """\
svg { background: #fff; border-radius: 8px; font: 14px system-ui, sans-serif }
text { fill: #1f2933 } .box { fill: #eef4f2; stroke: #0f8a6a }
.life { stroke: #9aa5b1; stroke-dasharray: 3 4 } .arrow { stroke: #1f2933; stroke-width: 1.5 }
.head { fill: #1f2933 } .note { fill: #fdf3d7; stroke: #c9a227 }
.lost { stroke: #b42318; stroke-width: 2.5 }
@media (prefers-color-scheme: dark) {
svg { background: #1b1f24 } text { fill: #e4e7eb } .box { fill: #1f3b33 }
.arrow { stroke: #e4e7eb } .head { fill: #e4e7eb } .note { fill: #453a17 } .lost { stroke: #ff8a7a }
}"""


@dataclass(frozen=True)
class Say:
    """One actor tells another; a reply is drawn with a broken line, one that is lost with a cross.

    Attributes:
        start: who tells, counted from the left.
        end: who hears.
        words: what.
        reply: whether it answers.
        lost: whether it never arrives.
    """

    start: int
    end: int
    words: str
    reply: bool = False
    lost: bool = False


@dataclass(frozen=True)
class Note:
    """What happens at one actor, or from one to another.

    Attributes:
        at: the actor, counted from the left.
        words: what.
    """

    at: int
    words: str


Step = Say | Note


@dataclass(frozen=True)
class Picture:
    """What happens between some actors.

    Attributes:
        title: what is told to those who do not see it.
        actors: who takes part, from left to right.
        steps: what happens, from above to below.
    """

    title: str
    actors: tuple[str, ...]
    steps: tuple[Step, ...]

    def drawn(self) -> str:
        """Return the picture as SVG."""
        width = (len(self.actors) - 1) * COLUMN + 2 * EDGE
        height = TOP + (len(self.steps) + 1) * ROW
        return "\n".join(
            (
                f'<svg {SVG} viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
                f"<title>{escape(self.title)}</title>",
                f"<style>{STYLE}</style>",
                *(self._actor(at, height) for at in range(len(self.actors))),
                *(_drawn(step, TOP + ROW * (row + 1)) for row, step in enumerate(self.steps)),
                "</svg>\n",
            )
        )

    def _actor(self, at: int, height: int) -> str:
        x = _x(at)
        return (
            f'<line class="life" x1="{x}" y1="{TOP - 12}" x2="{x}" y2="{height - 8}"/>'
            f'<rect class="box" x="{x - 90}" y="14" width="180" height="34" rx="6"/>'
            f"{_text(x, 36, self.actors[at])}"
        )


def _x(at: int) -> int:
    return EDGE + at * COLUMN


def _text(x: float, y: float, words: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="middle">{escape(words)}</text>'


def _drawn(step: Step, y: int) -> str:
    return _arrow(step, y) if isinstance(step, Say) else _note(step, y)


def _note(note: Note, y: int) -> str:
    x, width = _x(note.at), 9 + 7.3 * len(note.words)
    left = max(4, x - width / 2)
    box = f'<rect class="note" x="{left:g}" y="{y - 18}" width="{width:g}" height="27" rx="4"/>'
    return box + _text(left + width / 2, y, note.words)


def _arrow(say: Say, y: int) -> str:
    start, end = _x(say.start), _x(say.end)
    side = 1 if end > start else -1
    stop = (start + end) / 2 if say.lost else end - side * 2
    dashes = ' stroke-dasharray="6 4"' if say.reply else ""
    line = f'<line class="arrow"{dashes} x1="{start}" y1="{y}" x2="{stop:g}" y2="{y}"/>'
    return line + (_cross(stop, y) if say.lost else _head(stop, y, side)) + _label(say, y)


def _label(say: Say, y: int) -> str:
    return _text((_x(say.start) + _x(say.end)) / 2, y - 8, say.words)


def _head(x: float, y: float, side: int) -> str:
    back = x - side * 9
    return f'<polygon class="head" points="{x:g},{y:g} {back:g},{y - 5:g} {back:g},{y + 5:g}"/>'


def _cross(x: float, y: float) -> str:
    return (
        f'<path class="lost" d="M{x - 6:g} {y - 6:g}L{x + 6:g} {y + 6:g}'
        f'M{x + 6:g} {y - 6:g}L{x - 6:g} {y + 6:g}"/>'
    )


def _answer(words: str, start: int = 2, end: int = 1, *, lost: bool = False) -> Say:
    return Say(start, end, words, reply=True, lost=lost)


PAGE = ("your code", "client", "server")
PICTURES = {
    "ahead": Picture(
        "The client renews the tokens a minute ahead, so that a call never meets an expired one.",
        PAGE,
        (
            Note(1, "a minute before the token's end"),
            Say(1, 2, "POST /api/refresh"),
            _answer("200, the next pair"),
            Say(0, 1, 'get("/api/notes")'),
            Say(1, 2, "GET /api/notes"),
            _answer("200"),
            _answer("200", 1, 0),
        ),
    ),
    "retry": Picture(
        "An expired token costs one refresh and one retry; the caller sees the answer alone.",
        PAGE,
        (
            Note(1, "the machine slept past the token's end"),
            Say(0, 1, 'post("/api/notes")'),
            Say(1, 2, "POST /api/notes"),
            _answer("401 TOKEN_EXPIRED"),
            Say(1, 2, "POST /api/refresh"),
            _answer("200, the next pair"),
            Say(1, 2, "the same POST, once more"),
            _answer("201"),
            _answer("201", 1, 0),
        ),
    ),
    "tabs": Picture(
        "Two tabs find an expired token at once: one refreshes under a lock, the other waits"
        " for the lock, finds newer tokens in the store, and does not refresh.",
        ("tab one", "store and lock", "tab two", "server"),
        (
            Say(0, 1, "takes the lock"),
            Say(2, 1, "waits for the lock"),
            Say(0, 3, "POST /api/refresh, for all of its calls"),
            Say(3, 0, "200, the next pair", reply=True),
            Say(0, 1, "stores the pair, frees the lock"),
            Say(1, 2, "has the lock, and newer tokens", reply=True),
            Say(2, 3, "its calls, with the new token"),
        ),
    ),
    "grace": Picture(
        "A refresh token that is repeated within its grace gets the same successor; one that"
        " comes later ends the session.",
        ("client", "server", "thief"),
        (
            Say(0, 1, "refresh with token 1"),
            Say(1, 0, "token 2", reply=True, lost=True),
            Note(0, "no answer is no end"),
            Say(0, 1, "refresh with token 1, again"),
            Note(1, "within 30 s: the same successor"),
            Say(1, 0, "token 2", reply=True),
            Say(2, 1, "refresh with token 1, stolen"),
            Note(1, "after the grace: two holders, one a thief"),
            Say(1, 2, "401 REFRESH_REUSED", reply=True),
            Say(0, 1, "its next call"),
            Say(1, 0, "401 SESSION_REVOKED", reply=True),
        ),
    ),
}


def main() -> None:
    """Draw them all."""
    for name, picture in PICTURES.items():
        (HERE / f"{name}.svg").write_text(picture.drawn())


if __name__ == "__main__":
    main()
