"""Notes as a CSV file, without a browser."""

import csv
import io

import pytest

from views.notes.csv_table import as_csv

TIME = "2026-01-02T03:04:05Z"


def rows(content: bytes) -> list[dict[str, str]]:
    """What a CSV reader makes of it."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("text", ["plain", 'a "quoted", one', "two\nlines", "häß 💡", "a=b", "'"])
def test_a_text_comes_back_as_it_was(text: str) -> None:
    """Commas, quotes and lines are the text's own; the file is UTF-8 and says so."""
    content = as_csv([{"id": "1", "text": text, "createdAt": TIME}])
    assert rows(content) == [{"createdAt": TIME, "text": text}]
    assert content.startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_text_is_a_formula(text: str) -> None:
    """What a spreadsheet would run gets an apostrophe, which makes it text."""
    assert rows(as_csv([{"text": text, "createdAt": TIME}]))[0]["text"] == f"'{text}"
