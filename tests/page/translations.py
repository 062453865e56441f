"""Reads app/translations.js."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[2] / "app" / "translations.js"


def languages() -> dict[str, dict[str, str]]:
    """Return the translations of each language, keyed by the English message."""
    source = FILE.read_text("utf-8").partition("globalThis.translations = ")[2]
    parsed: dict[str, dict[str, str]] = json.loads(
        source.rstrip().removesuffix(";"), object_pairs_hook=_without_duplicates
    )
    return parsed


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    assert len(unique) == len(pairs), "A message is translated twice."
    return unique
