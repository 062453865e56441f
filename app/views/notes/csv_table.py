"""Notes as a table for other programs: CSV, which people open with a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Mapping

COLUMNS = ("createdAt", "text")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(notes: Iterable[Mapping[str, str]]) -> bytes:
    """Return the notes as a CSV file (RFC 4180), with a signature that Excel knows UTF-8 by."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([inert(note[column]) for column in COLUMNS] for note in notes)
    return text.getvalue().encode("utf-8-sig")


def inert(cell: str) -> str:
    """Return the text so that no spreadsheet takes it for a formula (OWASP, "CSV Injection")."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
