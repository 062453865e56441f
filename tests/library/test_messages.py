"""Requests and responses."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unexpired import BadReply, Headers, Request, Response


def test_header_names_ignore_case_and_repeated_ones_are_joined() -> None:
    headers = Headers([("X-A", "1"), ("x-a", "2"), ("B", "3")])
    assert headers["X-a"] == "1, 2"
    assert "b" in headers
    assert "c" not in headers
    assert (list(headers), len(headers)) == (["x-a", "b"], 2)


def test_a_header_is_replaced_in_any_case() -> None:
    request = Request("GET", "/x", Headers({"Authorization": "old", "a": "b"}))
    assert dict(request.with_header("AUTHORIZATION", "new").headers) == {
        "authorization": "new",
        "a": "b",
    }


def test_setting_a_header_changes_only_the_result() -> None:
    """Also not the fields of a mapping that they were made of."""
    headers = Headers({"A": "1"})
    assert dict(headers.with_field("B", "2")) == {"a": "1", "b": "2"}
    assert dict(headers) == {"a": "1"}


def test_reprs_show_neither_values_nor_queries() -> None:
    headers = Headers({"authorization": "Bearer secret"})
    request = Request("GET", "/x?token=secret#secret", headers, b"secret")
    response = Response(200, headers, b"secret", "/x?token=secret")
    assert "secret" not in f"{headers!r} {request!r} {response!r} {request} {response}"
    assert repr(request) == "<Request GET /x>"


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("text/plain", "é".encode(), "é"),
        ("text/plain; charset=latin-1", b"\xe9", "é"),
        ('text/plain; Charset="latin-1"', b"\xe9", "é"),
        ("text/plain; charset=nonsense", "é".encode(), "é"),
        ("text/plain; charset=base64", "é".encode(), "é"),
        ("text/plain; charset=idna", "é".encode(), "é"),
        ("", b"\xff", "\ufffd"),
    ],
)
def test_text_follows_the_charset_and_never_raises(kind: str, content: bytes, text: str) -> None:
    assert Response(200, Headers({"content-type": kind}), content).text == text


def test_a_body_that_is_not_json_is_an_error() -> None:
    assert Response(200, content=b'{"a": 1}').json() == {"a": 1}
    for content in (b"", b"<html>", b"\xff", b"[" * 100_000):
        with pytest.raises(BadReply):
            Response(200, content=content).json()


def test_a_code_is_read_only_from_an_object() -> None:
    assert Response(401, content=b'{"code": "TOKEN_EXPIRED"}').code == "TOKEN_EXPIRED"
    for content in (b"", b"[]", b'{"code": 7}', b'"code"'):
        assert Response(401, content=content).code is None


def test_raise_for_status_carries_the_servers_own_message() -> None:
    response = Response(409, content=b'{"error": "That is taken.", "code": "TAKEN"}')
    with pytest.raises(BadReply, match="That is taken") as raised:
        response.raise_for_status()
    assert (raised.value.status_code, raised.value.code) == (409, "TAKEN")
    with pytest.raises(BadReply, match="could not be used"):
        Response(500).raise_for_status()
    fine = Response(204)
    assert fine.raise_for_status() is fine


@pytest.mark.parametrize(
    "status", [100, 199, 200, 226, 299, 300, 308, 399, 400, 404, 451, 500, 599]
)
@pytest.mark.parametrize(
    "name",
    ["informational", "success", "redirect", "client_error", "server_error", "error"],
)
def test_a_status_is_of_the_class_that_httpx_says(status: int, name: str) -> None:
    theirs = httpx2.Response(status)
    expected = theirs.is_redirect if name == "redirect" else getattr(theirs, f"is_{name}")
    assert getattr(Response(status), f"is_{name}") is expected


@pytest.mark.parametrize(
    ("status", "phrase"), [(200, "OK"), (404, "Not Found"), (299, ""), (0, "")]
)
def test_a_reason_phrase_is_the_standard_one_of_the_status(status: int, phrase: str) -> None:
    assert Response(status).reason_phrase == phrase


def test_a_response_made_by_hand_has_no_request_and_equals_one_that_was_received() -> None:
    received = Response(200, Headers(), b"a", "/x", request=Request("GET", "/x"))
    assert Response(200, Headers(), b"a", "/x").request is None
    assert received == Response(200, Headers(), b"a", "/x")


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        ("text/plain", "utf-8"),
        ("text/plain; charset=latin-1", "latin-1"),
        ("a/b; charset=x", "utf-8"),
    ],
)
def test_the_encoding_is_a_charset_that_is_known(kind: str, encoding: str) -> None:
    assert Response(200, Headers({"content-type": kind})).encoding == encoding


@given(st.text(st.characters(codec="utf-8")), st.none() | st.integers(1, 5))
def test_a_body_is_iterated_as_httpx_does(text: str, size: int | None) -> None:
    """In httpx a chunk of text that was decoded at once is whole as well."""
    ours, theirs = Response(200, content=text.encode()), httpx2.Response(200, text=text)
    assert [*ours.iter_bytes(size)] == [*theirs.iter_bytes(size)]
    assert [*ours.iter_text(size)] == [*theirs.iter_text(size)]
    assert [*ours.iter_lines()] == [*theirs.iter_lines()]


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_a_chunk_has_a_positive_size(size: Any) -> None:
    for iterate in (Response(200).iter_bytes, Response(200).iter_text):
        with pytest.raises(ValueError, match="chunk_size"):
            iterate(size)
