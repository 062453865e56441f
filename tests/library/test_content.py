"""A body is encoded once, as bytes, whatever the caller passes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.parser import BytesParser
from email.policy import HTTP
from io import BytesIO, StringIO
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unexpired.body_parts import BlobPart, PartedBody
from unexpired.content import RequestOptions, build_request, encode, merge_params, read_body
from unexpired.messages import Body, Headers, Request


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


def whole(body: Body) -> bytes:
    """Return a body as a server receives it."""
    content = read_body(body)
    assert content is not None
    assert not isinstance(body, PartedBody) or body.length == len(content)
    return content


def test_a_form_with_files_can_be_parsed() -> None:
    body, kind = encode(
        data={"a": "é", "b": ["1", "2"]},
        files=[("f", ('x\r\n".txt', b"\x00\r\n\xff")), ("g", ("p.png", b"", "image/png"))],
    )
    sent = whole(body)
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + sent)
    parts = [
        (part.get_param("name", header="content-disposition"), part.get_filename())
        for part in message.iter_parts()
    ]
    assert parts == [("a", None), ("b", None), ("b", None), ("f", "x%0D%0A%22.txt"), ("g", "p.png")]
    assert b"\x00\r\n\xff" in sent
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


# -- The caller's mistakes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"headers": {"X-Name": "Łukasz"}}, "X-Name"),
        ({"headers": {"X-Name": "a\r\nX-Evil: 1"}}, "X-Name"),
        ({"headers": {"X-Name": "a\x00"}}, "X-Name"),
        ({"headers": {"X Name": "a"}}, "X Name"),
        ({"headers": {"X-Näme": "a"}}, "headers"),
        ({"headers": {"": "a"}}, "headers"),
        ({"headers": {"X-Name\n": "a"}}, "headers"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"json": float("nan")}, "json"),
        ({"json": "\ud800"}, "json"),
        ({"content": "\ud800"}, "content"),
        ({"data": {"a": "\ud800"}}, "data"),
        ({"data": {"a": "\ud800"}, "files": {}}, "data"),
        ({"params": {"a": "\ud800"}}, "params"),
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_refused_by_its_name(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?i){message}"):
        build_request("POST", "/x", options)


def test_a_header_is_refused_without_its_value() -> None:
    with pytest.raises(ValueError, match="authorization") as raised:
        Request("GET", "/x", Headers({"authorization": "Bearer secret\n"}))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("value", ["", "é", "a\tb", "\xff", 'W/"x"'])
def test_a_header_that_browsers_send_is_accepted(value: str) -> None:
    assert build_request("GET", "/x", {"headers": {"X-Name": value}}).headers["x-name"] == value


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"headers": {"X-Count": 7}}, "x-count"),
        ({"headers": {"X-Raw": b"a"}}, "x-raw"),
        ({"headers": "X: y"}, "headers"),
        ({"headers": {1: "y"}}, "headers"),
        ({"headers": 7}, "headers"),
        ({"params": "a=b"}, "params"),
        ({"data": "a=b"}, "data"),
        ({"data": b"a=b"}, "data"),
        ({"files": [b""]}, "files"),
        ({"files": b"a"}, "files"),
        ({"params": [("a", 1, 2)]}, "params"),
        ({"params": {"a": {"b": 1}}}, "params: the value of a"),
        ({"data": {"a": {"b": 1}}}, "data: the value of a"),
        ({"json": {1, 2}}, "json"),
        ({"content": 7}, "content"),
        ({"content": {"a": 1}}, "content"),
        ({"timeout": "3"}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"auth": "yes"}, "auth"),
        ({"auth": None}, "auth"),
        ({"upload_progress": 7}, "upload_progress"),
        ({"download_progress": "x"}, "download_progress"),
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_refused_by_its_name(options: Any, name: str) -> None:
    with pytest.raises(TypeError, match=name):
        build_request("POST", "/x", options)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("param", r"no option param; did you mean params\?"),
        ("header", r"no option header; did you mean headers\?"),
        ("cookies", "no option cookies"),
        ("follow_redirects", "no option follow_redirects"),
    ],
)
def test_an_option_that_does_not_exist_is_named(name: str, message: str) -> None:
    options: Any = {name: 1}
    with pytest.raises(TypeError, match=message):
        build_request("GET", "/x", options)


@pytest.mark.parametrize("method", ["", "GE T", "GET\n", "gét", "TRACE", "connect", "Track"])
def test_a_method_that_no_browser_sends_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="method"):
        build_request(method, "/x", {})


@pytest.mark.parametrize("method", ["GET", "head"])
def test_get_and_head_have_no_body(method: str) -> None:
    bodies: list[RequestOptions] = [{"json": 1}, {"content": b""}, {"data": {}}, {"files": {}}]
    for options in bodies:
        with pytest.raises(ValueError, match=f"{method.upper()} request has no body"):
            build_request(method, "/x", options)


def test_a_url_and_a_method_are_texts() -> None:
    for method, url, name in (("GET", 7, "url"), (None, "/x", "method")):
        with pytest.raises(TypeError, match=name):
            build_request(method, url, {})  # type: ignore[arg-type]


def test_a_stream_of_text_is_refused() -> None:
    with pytest.raises(TypeError, match="content"):
        read_body(iter(["a"]))  # type: ignore[arg-type]


def test_a_request_carries_what_transports_and_flows_look_at() -> None:
    plain = build_request("GET", "/x", {})
    assert (plain.auth, plain.upload_progress) == (True, None)
    request = build_request("GET", "/x", {"auth": "optional", "upload_progress": print})
    assert (request.auth, request.upload_progress) == ("optional", print)
    assert request == plain


# -- Files -------------------------------------------------------------------------------------


def sent_file(file: Any) -> tuple[str | None, bytes, str]:
    """Return the name, the content and the type of a file as a server reads them."""
    body, kind = encode(files={"f": file})
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + whole(body))
    (part,) = message.iter_parts()
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return part.get_filename(), content, part.get_content_type()


def test_a_file_is_given_in_any_form(tmp_path: Path) -> None:
    path, plain = tmp_path / "x.bin", "application/octet-stream"
    path.write_bytes(b"\x00\xff")
    with path.open("rb") as file:
        assert sent_file(file) == ("x.bin", b"\x00\xff", plain)
    assert sent_file(b"a") == sent_file(bytearray(b"a")) == ("f", b"a", plain)
    assert sent_file(BytesIO(b"a")) == ("f", b"a", plain)
    assert sent_file(("n", BytesIO(b"a"))) == ("n", b"a", plain)
    assert sent_file(("n", b"a", "text/csv")) == ("n", b"a", "text/csv")
    assert (
        sent_file(("n.csv", b"a"))
        == sent_file(("n.csv", b"a", None))
        == ("n.csv", b"a", "text/csv")
    )
    assert sent_file(path) == sent_file(("x.bin", path)) == ("x.bin", b"\x00\xff", plain)
    assert sent_file((None, b"a")) == (None, b"a", "text/plain")  # Without a type of its own.
    assert sent_file(("n", b"a", "text/csv", {"Content-Type": "a/b"})) == ("n", b"a", "a/b")


@pytest.mark.parametrize(
    "file",
    ["text", StringIO("text"), ("n", "text"), 7, None, (), ("n",), (1, b""), ("n", b"", 2), [b""]],
    ids=lambda file: type(file).__name__,
)
def test_what_is_no_file_is_refused_by_the_name_of_its_field(file: Any) -> None:
    with pytest.raises(TypeError, match="files: photo"):
        encode(files={"photo": file})


def test_a_file_of_a_form_has_headers_of_its_own() -> None:
    body, _ = encode(files={"f": ("n", b"a", "text/csv", {"X-Page": "7"})})
    assert b"\r\nX-Page: 7\r\nContent-Type: text/csv\r\n\r\na\r\n" in whole(body)
    with pytest.raises(ValueError, match="files"):
        encode(files={"f": ("n", b"a", "text/csv", {"X-Page": "7\r\nX-Evil: 1"})})


def test_a_field_may_have_several_files() -> None:
    body, _ = encode(files=[("f", ("a", b"1")), ("f", ("b", b"2"))])
    assert whole(body).count(b'name="f"; filename=') == 2


def test_a_seekable_file_is_sent_again_from_where_it_stood() -> None:
    file = BytesIO(b"head, body")
    file.seek(6)
    request = build_request("POST", "/x", {"content": file})
    assert request.is_replayable
    assert whole(request.body) == whole(request.body) == b"body"


def test_a_path_is_opened_each_time_that_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a" * 200_000)
    request = build_request("POST", "/x", {"content": path, "headers": {}})
    assert request.is_replayable
    assert whole(request.body) == whole(request.body) == b"a" * 200_000


def test_a_large_file_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a" * 200_000)
    body, _ = encode(files={"f": path})
    assert isinstance(body, PartedBody)
    assert max(map(len, body)) <= 65_536


class Pipe(BytesIO):
    """A file that can be read once."""

    def seekable(self) -> bool:
        return False


def test_a_file_that_cannot_be_rewound_is_sent_once() -> None:
    for options in ({"content": Pipe(b"a")}, {"files": {"f": Pipe(b"a")}}):
        request = build_request("POST", "/x", options)  # type: ignore[arg-type]
        assert not request.is_replayable
        assert isinstance(request.body, PartedBody)
        assert request.body.length is None
        assert b"a" in b"".join(request.body)


@pytest.mark.parametrize("name", ["content", "files"])
def test_a_path_that_cannot_be_read_raises_before_anything_is_sent(
    tmp_path: Path, name: str
) -> None:
    for path, kind in ((tmp_path / "none", FileNotFoundError), (tmp_path, IsADirectoryError)):
        options: Any = {name: path if name == "content" else {"f": path}}
        with pytest.raises(kind):
            build_request("POST", "/x", options)


def test_a_file_that_is_opened_as_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("a")
    with path.open("r") as file:
        for options in ({"content": file}, {"files": {"f": file}}):
            with pytest.raises(TypeError, match="open it with 'rb'"):
                build_request("POST", "/x", options)  # type: ignore[arg-type]


def test_a_file_that_becomes_shorter_is_not_sent_as_if_it_were_whole() -> None:
    file = BytesIO(b"abc")
    body, _ = encode(content=file)
    file.truncate(1)
    with pytest.raises(ValueError, match="content: the file has become shorter"):
        read_body(body)


def test_a_file_that_becomes_longer_is_sent_as_it_was() -> None:
    file = BytesIO(b"abc")
    body, _ = encode(content=file)
    file.seek(0, 2)
    file.write(b"d")
    assert whole(body) == b"abc"


def test_a_file_that_must_be_awaited_is_a_stream_or_refused() -> None:
    class Upload:
        async def read(self) -> bytes:
            return b""

    class Stream(Upload):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b""

    stream = Stream()
    assert encode(content=stream) == (stream, None)
    with pytest.raises(TypeError, match="content"):
        encode(content=Upload())  # type: ignore[arg-type]


class FakeBlob:
    """What Python sees of a ``File`` of JavaScript."""

    size = 3
    type = "image/png"
    name = "photo.png"

    def slice(self) -> None: ...

    def arrayBuffer(self) -> None: ...  # noqa: N802


def test_a_blob_is_passed_on_as_it_is_and_never_read_by_python() -> None:
    blob = FakeBlob()
    request = build_request("POST", "/x", {"content": blob})
    assert isinstance(request.body, PartedBody)
    (part,) = request.body.parts
    assert isinstance(part, BlobPart)
    assert part.js_blob is blob
    assert (request.body.length, request.is_replayable, request.body.has_blobs) == (3, True, True)
    with pytest.raises(TypeError, match="Blob"):
        read_body(request.body)


def test_a_blob_in_a_form_brings_its_name_and_type() -> None:
    body, _ = encode(files={"f": FakeBlob()})
    assert isinstance(body, PartedBody)
    head, blob, _ = body.parts
    assert isinstance(head, bytes)
    assert head.endswith(b'filename="photo.png"\r\nContent-Type: image/png\r\n\r\n')
    assert isinstance(blob, BlobPart)
    assert body.length == sum(len(part) for part in body.parts if isinstance(part, bytes)) + 3


# -- As httpx writes it ------------------------------------------------------------------------

PRIMITIVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8"))
)
FIELDS = st.dictionaries(
    st.text(st.characters(codec="utf-8")), PRIMITIVES | st.lists(PRIMITIVES), max_size=4
)


@given(FIELDS)
def test_params_are_those_of_httpx_but_for_the_plus_sign(params: Any) -> None:
    """Httpx writes a space as ``+``, which only forms may (RFC 3986 knows no such thing)."""
    theirs = str(httpx2.QueryParams(params)).replace("+", "%20")
    assert merge_params("/x", params) == (f"/x?{theirs}" if theirs else "/x")


@given(FIELDS)
def test_form_fields_are_those_of_httpx(data: Any) -> None:
    theirs = httpx2.Request("POST", "https://api.example", data=data)
    assert encode(data=data)[0] == theirs.read()


@given(st.lists(st.tuples(st.sampled_from("ab"), PRIMITIVES), max_size=4))
def test_pairs_are_those_of_httpx_in_the_callers_order(params: Any) -> None:
    """Httpx gathers the values of a name that is repeated."""
    ours = parse_qsl(merge_params("/x", params).partition("?")[2], keep_blank_values=True)
    theirs = httpx2.QueryParams(params).multi_items()
    assert sorted(ours, key=itemgetter(0)) == sorted(theirs, key=itemgetter(0))
    assert [name for name, _ in ours] == [name for name, _ in params]


NAMED = st.dictionaries(st.text('a "é\r\n'), PRIMITIVES | st.lists(PRIMITIVES), max_size=4)


@given(NAMED, st.lists(st.tuples(st.sampled_from("fg"), st.binary()), min_size=1, max_size=3))
def test_a_form_with_files_is_that_of_httpx(data: Any, files: Any) -> None:
    """Except for names with further control characters, which browsers do not escape."""
    named = [(name, (f"{name}.txt", content)) for name, content in files]
    body, kind = encode(data=data, files=named)
    assert kind is not None
    theirs = httpx2.Request(
        "POST", "https://api.example", data=data, files=named, headers={"content-type": kind}
    )
    assert whole(body) == theirs.read()
