"""The translations of the page's sentences, as its file has it."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[2] / "app" / "translations.js"


def languages() -> dict[str, dict[str, str]]:
    """The sentences of each language, under their English ones."""
    written = FILE.read_text("utf-8").partition("globalThis.translations = ")[2]
    read: dict[str, dict[str, str]] = json.loads(
        written.rstrip().removesuffix(";"), object_pairs_hook=_unique
    )
    return read


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    assert len(unique) == len(pairs), "A sentence stands there twice."
    return unique
