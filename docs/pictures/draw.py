"""Draw the sequence diagrams of the protocol: SVG, for light and dark backgrounds.

    python docs/pictures/draw.py

Each picture is a list of steps between actors, from top to bottom, and is written beside this file.
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
class Arrow:
    """A message from one actor to another.

    Attributes:
        start: The sender, counted from the left.
        end: The receiver.
        label: The text above the arrow.
        is_response: Whether it is a response, drawn with a dashed line.
        is_lost: Whether it never arrives, drawn with a cross.
    """

    start: int
    end: int
    label: str
    is_response: bool = False
    is_lost: bool = False


@dataclass(frozen=True)
class Note:
    """A remark at one actor.

    Attributes:
        at: The actor, counted from the left.
        text: The remark.
    """

    at: int
    text: str


Step = Arrow | Note


@dataclass(frozen=True)
class Picture:
    """A sequence diagram.

    Attributes:
        title: The text for people who cannot see the picture.
        actors: Their names, from left to right.
        steps: The steps, from top to bottom.
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


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="middle">{escape(text)}</text>'


def _drawn(step: Step, y: int) -> str:
    return _arrow(step, y) if isinstance(step, Arrow) else _note(step, y)


def _note(note: Note, y: int) -> str:
    x, width = _x(note.at), 9 + 7.3 * len(note.text)
    left = max(4, x - width / 2)
    box = f'<rect class="note" x="{left:g}" y="{y - 18}" width="{width:g}" height="27" rx="4"/>'
    return box + _text(left + width / 2, y, note.text)


def _arrow(arrow: Arrow, y: int) -> str:
    start, end = _x(arrow.start), _x(arrow.end)
    side = 1 if end > start else -1
    stop = (start + end) / 2 if arrow.is_lost else end - side * 2
    dashes = ' stroke-dasharray="6 4"' if arrow.is_response else ""
    line = f'<line class="arrow"{dashes} x1="{start}" y1="{y}" x2="{stop:g}" y2="{y}"/>'
    return line + (_cross(stop, y) if arrow.is_lost else _head(stop, y, side)) + _label(arrow, y)


def _label(arrow: Arrow, y: int) -> str:
    return _text((_x(arrow.start) + _x(arrow.end)) / 2, y - 8, arrow.label)


def _head(x: float, y: float, side: int) -> str:
    back = x - side * 9
    return f'<polygon class="head" points="{x:g},{y:g} {back:g},{y - 5:g} {back:g},{y + 5:g}"/>'


def _cross(x: float, y: float) -> str:
    return (
        f'<path class="lost" d="M{x - 6:g} {y - 6:g}L{x + 6:g} {y + 6:g}'
        f'M{x + 6:g} {y - 6:g}L{x - 6:g} {y + 6:g}"/>'
    )


def _response(label: str, start: int = 2, end: int = 1, *, is_lost: bool = False) -> Arrow:
    return Arrow(start, end, label, is_response=True, is_lost=is_lost)


PAGE = ("your code", "client", "server")
PICTURES = {
    "ahead": Picture(
        "The client refreshes the tokens a minute ahead, so that no request meets an expired one.",
        PAGE,
        (
            Note(1, "a minute before the token expires"),
            Arrow(1, 2, "POST /api/refresh"),
            _response("200, the next token pair"),
            Arrow(0, 1, 'get("/api/notes")'),
            Arrow(1, 2, "GET /api/notes"),
            _response("200"),
            _response("200", 1, 0),
        ),
    ),
    "retry": Picture(
        "An expired token costs one refresh and one retry; the caller only sees the response.",
        PAGE,
        (
            Note(1, "the token expired while the machine slept"),
            Arrow(0, 1, 'post("/api/notes")'),
            Arrow(1, 2, "POST /api/notes"),
            _response("401 TOKEN_EXPIRED"),
            Arrow(1, 2, "POST /api/refresh"),
            _response("200, the next token pair"),
            Arrow(1, 2, "the same POST, once more"),
            _response("201"),
            _response("201", 1, 0),
        ),
    ),
    "tabs": Picture(
        "Two tabs meet an expired token at once: one refreshes under a lock, the other waits for"
        " the lock, finds newer tokens in the store, and does not refresh.",
        ("tab one", "store and lock", "tab two", "server"),
        (
            Arrow(0, 1, "acquires the lock"),
            Arrow(2, 1, "waits for the lock"),
            Arrow(0, 3, "POST /api/refresh, for all its requests"),
            _response("200, the next token pair", 3, 0),
            Arrow(0, 1, "stores the pair, releases the lock"),
            _response("acquires it, finds newer tokens", 1, 2),
            Arrow(2, 3, "its requests, with the new token"),
        ),
    ),
    "grace": Picture(
        "A refresh token that is repeated within its grace gets the same successor; one that is"
        " presented later ends the session.",
        ("client", "server", "thief"),
        (
            Arrow(0, 1, "refresh with token 1"),
            _response("token 2", 1, 0, is_lost=True),
            Note(0, "no response: keep the session"),
            Arrow(0, 1, "refresh with token 1, again"),
            Note(1, "within 30 s: the same successor"),
            _response("token 2", 1, 0),
            Arrow(2, 1, "refresh with token 1, stolen"),
            Note(1, "after the grace: revoke the session"),
            _response("401 REFRESH_REUSED", 1, 2),
            Arrow(0, 1, "its next request"),
            _response("401 SESSION_REVOKED", 1, 0),
        ),
    ),
}


def main() -> None:
    """Write each picture into its file."""
    for name, picture in PICTURES.items():
        (HERE / f"{name}.svg").write_text(picture.drawn())


if __name__ == "__main__":
    main()
