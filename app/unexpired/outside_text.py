"""Parsing JSON from outside: stored records, response bodies, the parts of a token.

Python's parser calls itself for each level of nesting. In WebAssembly a stack that is used up ends
the interpreter: there is no ``RecursionError`` to catch. So the nesting is measured first, by a
loop.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from math import isfinite
from typing import Any, NoReturn

MAX_DEPTH = 64
"""The deepest nesting that is parsed; no API needs half of it."""

MAX_DIGITS = 400  # More than any finite float has.

PAGE_HINT = (
    "It is an HTML page: the URL leads to a server of pages, which sends its index.html for any"
    " path, or a captive portal has answered."
)
"""For developers who expected JSON."""

_STEPS = dict(zip(b"[{]}", (1, 1, -1, -1), strict=True))
_OTHER = bytes({*range(256)} - {*b'[]{}"'})
_STRING = re.compile(rb'"[^"]*(?:"|\Z)')  # The last one may have no end.


def loads(text: str | bytes, *, finite: bool = False) -> Any:
    """Return the JSON value of a text that is not ours; safe for any text.

    Args:
        text: The text; bytes in UTF-8, UTF-16 or UTF-32.
        finite: Whether to refuse ``NaN``, ``Infinity`` and numbers that no finite float can hold.

    Raises:
        ValueError: If it is not JSON, is nested too deeply, or has a number that is refused.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    if _depth(text) > MAX_DEPTH:
        raise ValueError("the JSON is nested too deeply")
    if not finite:
        return json.loads(text)
    return json.loads(text, parse_float=_float, parse_int=_int, parse_constant=_refuse)


def _depth(text: str) -> int:
    """Return the deepest nesting that a parser can reach.

    Up to the first error this reads the text as the parser does, and the parser stops there.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return 0  # The usual case: not enough brackets to be deep.
    escaped = text.encode("utf-8", "surrogatepass")
    plain = escaped.replace(rb"\\", b"").replace(rb"\"", b"")
    # Two quotes are an empty string, or the end of one and the start of the next.
    brackets = _STRING.sub(b"", plain.translate(None, _OTHER).replace(b'""', b""))
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _float(digits: str) -> float:
    value = float(digits)
    return value if isfinite(value) else _refuse(digits)


def _int(digits: str) -> int:
    return _refuse(digits) if len(digits) > MAX_DIGITS or not _fits(int(digits)) else int(digits)


def _fits(value: int) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True


def _refuse(_digits: str) -> NoReturn:
    raise ValueError("a number is not finite")
