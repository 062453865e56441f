"""Translates the page's messages; the sources contain the English ones."""

from __future__ import annotations

import re
from collections.abc import Mapping

NUMBER = re.compile(r"\d+")

_translations: dict[str, str] = {}


def set_translations(translations: Mapping[str, str]) -> None:
    """Set the translations of the page's language, keyed by the English message."""
    _translations.update(translations)


def tr(message: str, *values: object) -> str:
    """Return the translated message, with the values in place of each ``{}``.

    A message without a translation stays as it is: English, or the server's own text.
    """
    translation = _translations.get(message, message)
    return translation.format(*values) if values else translation


def tr_plural(count: int, one: str, other: str) -> str:
    """Return the translation of the singular or the plural message, with the count filled in."""
    return tr(one) if count == 1 else tr(other, count)


def tr_numbers(message: str) -> str:
    """Translate a message that already contains its numbers, such as one of the library's."""
    return tr(NUMBER.sub("{}", message), *NUMBER.findall(message))


def tr_code(message: str, code: str | None) -> str:
    """Translate a server's message, by its error code if only the code has a translation."""
    return _translations.get(message) or _translations.get(code or "", message)
