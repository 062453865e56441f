"""How a long text is divided into notes, without a browser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from views.notes.length import MAX_LENGTH, divide


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("short", ["short"]),
        ("exactly 10", ["exactly 10"]),
        ("first one\n\nsecond", ["first one", "second"]),
        ("a line\nand more", ["a line", "and more"]),
        ("A word. Two words.", ["A word.", "Two words."]),
        ("some words here", ["some words", "here"]),
        ("x" * 25, ["x" * 10, "x" * 10, "x" * 5]),
        ("😀" * 11, ["😀" * 10, "😀"]),
    ],
)
def test_a_text_is_divided_at_its_best_seam(text: str, parts: list[str]) -> None:
    """Between paragraphs, else lines, sentences or words; only a long word is divided itself."""
    assert divide(text, 10) == parts


@given(st.text(alphabet="ab \n.é", max_size=300))
def test_nothing_but_white_space_is_left_out(text: str) -> None:
    """Every part fits, and the parts have the characters of the text in its order."""
    parts = divide(text, 20)
    assert all(len(part) <= 20 for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_a_long_paste_is_two_notes() -> None:
    """The limit is that of a note."""
    assert [len(part) for part in divide("x" * 2500)] == [MAX_LENGTH, 500]
