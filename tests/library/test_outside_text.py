"""JSON from outside never reaches Python's recursive parser when it is nested deeply."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unexpired.outside_text import MAX_DEPTH, loads

DEEP = 100_000

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def depth_of(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, inner), default=0)


AWKWARD = st.text(st.sampled_from('[]{}"\\a\n,:é'), max_size=6)


@given(
    st.recursive(
        AWKWARD,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(AWKWARD, inner, max_size=3),
    ),
    st.booleans(),
)
def test_the_nesting_is_that_of_the_value(value: Any, ascii_only: bool) -> None:  # noqa: FBT001
    """Brackets within a string do not count, whatever the string escapes."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    depth = depth_of(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unexpired.outside_text.MAX_DEPTH", depth)
        assert loads(text) == value
        if depth:
            patch.setattr("unexpired.outside_text.MAX_DEPTH", depth - 1)
            with pytest.raises(ValueError, match="nested"):
                loads(text)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@given(VALUES)
def test_every_value_is_read_as_the_parser_of_python_reads_it(value: Any) -> None:
    text = json.dumps(value)
    assert repr(loads(text)) == repr(loads(text.encode())) == repr(json.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "[" * DEEP,
        '{"a":' * DEEP,
        '[{"a":' * DEEP,
        '"\\"",' + "[" * DEEP,
        '["' + '\\"[' * DEEP + '",' + "[" * DEEP,
        '["\\\\",' + "[" * DEEP,
        nested(MAX_DEPTH + 1),
    ],
    ids=range(7),
)
def test_deep_nesting_never_reaches_the_parser(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that recursed here would end the interpreter of a page."""
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("parsed"))
    for outside in (text, text.encode(), text.encode("utf-16")):
        with pytest.raises(ValueError, match="nested"):
            loads(outside)


@pytest.mark.parametrize(
    "text", [nested(MAX_DEPTH), '["' + "[" * DEEP + '"]', "[" + "[]," * DEEP + "[]]"], ids=range(3)
)
def test_brackets_that_do_not_nest_deeply_are_read(text: str) -> None:
    assert loads(text) == json.loads(text)


@pytest.mark.parametrize("text", ['["' + "\\" * 300_001, '["' + '\\"' * 300_000, '"' * 300_001])
def test_no_text_takes_long(text: str) -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match=r"."):
        loads("[" * (MAX_DEPTH + 1) + text)
    with pytest.raises(ValueError, match=r"."):
        loads("[]" * (MAX_DEPTH + 1) + text)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "9" * 400, "9" * 5000])
def test_a_number_that_no_float_can_hold_is_refused_where_that_matters(number: str) -> None:
    for text in (number, f'{{"a": [{number}]}}'):
        with pytest.raises(ValueError, match=r"."):
            loads(text, finite=True)


def test_other_numbers_are_read_as_ever() -> None:
    assert loads("[1e308, -0.5, 12, 1e-999]", finite=True) == [1e308, -0.5, 12, 0]
    assert math.isnan(loads("NaN"))
