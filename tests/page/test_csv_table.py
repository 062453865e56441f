"""Notes as a CSV file, without a browser."""

import csv
import io

import pytest

from views.notes.csv_table import to_csv

TIME = "2026-01-02T03:04:05Z"


def rows(content: bytes) -> list[dict[str, str]]:
    """Parse a file as another program would."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("text", ["plain", 'a "quoted", one', "two\nlines", "häß 💡", "a=b", "'"])
def test_a_text_survives_the_round_trip(text: str) -> None:
    """Commas, quotes and line breaks are escaped; the file is UTF-8 with a byte order mark."""
    content = to_csv([{"id": "1", "text": text, "createdAt": TIME}])
    assert rows(content) == [{"createdAt": TIME, "text": text}]
    assert content.startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_is_escaped(text: str) -> None:
    """A leading apostrophe makes a spreadsheet show the text instead of running it."""
    assert rows(to_csv([{"text": text, "createdAt": TIME}]))[0]["text"] == f"'{text}"
