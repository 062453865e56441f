"""Scopes: what a user may do, as words such as ``orders:write`` (RFC 6749, section 3.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable

SYNTAX = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
MAXIMUM_LENGTH = 1024
"""Of all scopes of a user together, in characters: they travel with each request."""


class InvalidScopeError(ValueError):
    """A text that is no scope; the message is one sentence for people."""


def checked_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Return scopes as a set.

    Raises:
        InvalidScopeError: One is empty, or has spaces, quotes, backslashes or characters outside
            ASCII; or it is one text in place of a set.
        TypeError: One is not text.
    """
    if isinstance(scopes, str):
        raise InvalidScopeError(f"Scopes are a set of texts, not one text: write {{{scopes!r}}}.")
    found = frozenset(scopes)
    for one in found:
        if not isinstance(one, str):
            raise TypeError(f"A scope is text, not {type(one).__name__}.")
        if not SYNTAX.fullmatch(one):
            raise InvalidScopeError(
                f"{one!r} is not a scope: a scope has letters, digits and punctuation, and no "
                "spaces, quotes or backslashes."
            )
    return found


def join_scopes(scopes: Iterable[str]) -> str:
    """Return scopes as one text, sorted and separated by spaces."""
    return " ".join(sorted(scopes))


def split_scopes(text: str) -> frozenset[str]:
    """Return the scopes in a text that separates them by spaces."""
    return frozenset(text.split())
