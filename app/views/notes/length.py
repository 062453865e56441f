"""How long a note may be, and how a longer text becomes several notes."""

from __future__ import annotations

MAX_LENGTH = 2000
# Where a text is best divided: between paragraphs, lines, sentences, words.
SEAMS = ("\n\n", "\n", ". ", " ")


def divide(text: str, limit: int = MAX_LENGTH) -> list[str]:
    """Divide a text into parts of up to this length; only white space between them is left out.

    Args:
        text: The text.
        limit: The most characters of a part.
    """
    parts: list[str] = []
    rest = text.strip()
    while len(rest) > limit:
        end = _seam(rest, limit)
        parts.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return [*parts, rest]


def _seam(text: str, limit: int) -> int:
    """Return where to divide: at the last seam of the best kind in the second half."""
    for seam in SEAMS:
        end = text.rfind(seam, limit // 2, limit + 1)
        if end >= 0:
            return end + len(seam.rstrip(" \n"))
    return limit
