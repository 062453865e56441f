"""JSON that means one thing only: one object, in UTF-8, without duplicate members.

Python's own reader takes NaN, repeated names and lone surrogates. Each of them is read in
another way by another program, and such differences are how checks are passed by (RFC 8725,
section 2.4), so they are refused before anything looks at the values.
"""

import json
from typing import Any, NoReturn


def read_object(raw: bytes) -> dict[str, Any]:
    """Read one JSON object.

    Raises:
        ValueError: It is not valid UTF-8, not valid JSON, too deep, or not one object.
    """
    text = raw.decode("utf-8")
    try:
        value = _DECODER.decode(text)
    except RecursionError as exc:
        raise ValueError("too deeply nested") from exc
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - wrong input, not a wrong call
    if "\\u" in text:
        _refuse_lone_surrogates(value)
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refuse_lone_surrogates(value: dict[str, Any]) -> None:
    # UnicodeEncodeError is a ValueError: half a character cannot be stored or sent on.
    json.dumps(value, ensure_ascii=False).encode("utf-8")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
