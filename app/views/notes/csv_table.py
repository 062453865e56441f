"""Converts notes to CSV, which people open with a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

COLUMNS = ("createdAt", "text")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(notes: Iterable[Mapping[str, str]]) -> bytes:
    """Return the notes as a CSV file (RFC 4180), with the byte order mark that Excel needs."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([escape_formula(note[column]) for column in COLUMNS] for note in notes)
    return text.getvalue().encode("utf-8-sig")


def escape_formula(cell: str) -> str:
    """Return the text so that no spreadsheet runs it as a formula (OWASP, "CSV Injection")."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
