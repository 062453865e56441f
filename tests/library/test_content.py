"""A body is encoded once, as bytes, whatever the caller passes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import pytest

from unexpired.content import encode, merge_params, read_body


@pytest.mark.parametrize(
    ("given", "body", "kind"),
    [
        ({}, None, None),
        ({"json": {"a": 1}}, b'{"a": 1}', "application/json"),
        ({"json": []}, b"[]", "application/json"),
        ({"json": "é"}, '"é"'.encode(), "application/json"),
        ({"content": b"\x00\xff"}, b"\x00\xff", None),
        ({"content": "é"}, "é".encode(), "text/plain; charset=utf-8"),
        (
            {"data": {"a": ["1", "é"], "n": 2}},
            b"a=1&a=%C3%A9&n=2",
            "application/x-www-form-urlencoded",
        ),
    ],
)
def test_each_kind_of_body_has_its_bytes_and_type(
    given: dict[str, Any], body: bytes | None, kind: str | None
) -> None:
    assert encode(**given) == (body, kind)


def test_a_form_with_files_can_be_parsed() -> None:
    body, kind = encode(
        data={"a": "é", "b": ["1", "2"]},
        files={"f": ('x\r\n".txt', b"\x00\r\n\xff"), "g": ("p.png", b"", "image/png")},
    )
    assert isinstance(body, bytes)
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    parts = [
        (part.get_param("name", header="content-disposition"), part.get_filename())
        for part in message.iter_parts()
    ]
    assert parts == [("a", None), ("b", None), ("b", None), ("f", "x%0D%0A%22.txt"), ("g", "p.png")]
    assert b"\x00\r\n\xff" in body
    assert [part.get_content_type() for part in message.iter_parts()][-1] == "image/png"


def test_a_stream_is_passed_on_unchanged() -> None:
    stream = iter([b"a"])
    assert encode(content=stream) == (stream, None)


@pytest.mark.parametrize(
    "given",
    [
        {"json": 1, "content": b""},
        {"data": {}, "json": 1},
        {"json": float("nan")},
        {"json": "\ud800"},
        {"files": {"f": ("n", b"", "text/plain\r\nX-Evil: 1")}},
    ],
)
def test_a_body_that_cannot_be_sent_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"one of|JSON|one line|surrogates"):
        encode(**given)


@pytest.mark.parametrize(
    ("url", "params", "result"),
    [
        ("/x", None, "/x"),
        ("/x", {"a": "b c", "d": ["1", "2"]}, "/x?a=b%20c&d=1&d=2"),
        ("/x?y=1#top", {"a": 1}, "/x?y=1&a=1#top"),
    ],
)
def test_params_are_added_to_the_query(url: str, params: Any, result: str) -> None:
    assert merge_params(url, params) == result


def test_a_blocking_transport_gets_the_whole_body() -> None:
    assert (read_body(None), read_body(b"ab"), read_body(iter([b"a", b"b"]))) == (
        None,
        b"ab",
        b"ab",
    )


def test_a_blocking_transport_refuses_an_asynchronous_stream() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"a"

    with pytest.raises(TypeError, match="AsyncClient"):
        read_body(stream())
