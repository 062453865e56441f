"""From the options of a call to a request whose body is encoded once, for all its attempts."""

from __future__ import annotations

import json as jsonlib
import math
import secrets
from collections.abc import AsyncIterable, Iterable, Mapping
from pathlib import PurePath
from typing import IO, Any, TypedDict, cast
from urllib.parse import quote, urlencode

from unexpired.errors import unknown_option
from unexpired.messages import Auth, Body, Headers, OneShot, Progress, Request

OCTETS = "application/octet-stream"

FileContent = bytes | IO[bytes]
File = FileContent | tuple[str, FileContent] | tuple[str, FileContent, str]
# RFC 9110, section 9.3.1: a body of GET or HEAD means nothing, and browsers refuse to send one.
BODILESS_METHODS = frozenset({"GET", "HEAD"})

Fields = Mapping[str, str | int | float | Iterable[str]]


class RequestOptions(TypedDict, total=False):
    """What every request method takes besides the method and the URL.

    Attributes:
        params: Added to the URL's query.
        headers: Header fields.
        json: Any JSON value, sent as the body.
        content: Bytes, text, or an iterable of bytes that can be sent once, sent as the body.
        data: Form fields.
        files: Form files by field: the content, ``(name, content)`` or
            ``(name, content, content type)``; the content is bytes or a file opened with ``"rb"``.
        timeout: Seconds for the whole call; None for no limit; the client's by default.
        auth: Whether the request carries the token: True by default; False sends it without one,
            also when nobody is signed in, and never redirects to the sign-in page; ``"optional"``
            sends it with a token if there is one, and never redirects either.
        upload_progress: Is called while the body is sent, with the bytes so far and the total, or
            None where that is unknown; a repeated request starts again at 0.
        download_progress: The same while the response's body is read.
    """

    params: Fields
    headers: Mapping[str, str]
    json: Any
    content: bytes | str | OneShot
    data: Fields
    files: Mapping[str, File]
    timeout: float | None
    auth: Auth
    upload_progress: Progress | None
    download_progress: Progress | None


OPTION_NAMES = sorted(RequestOptions.__optional_keys__)
PROGRESS_OPTIONS = ("upload_progress", "download_progress")


def build_request(method: str, url: str, options: RequestOptions) -> Request:
    """Return the request that these options describe.

    Raises:
        TypeError: If there is no such option, or one is of the wrong type; it names the option.
        ValueError: If the method, a header or the body cannot be sent.
    """
    _check(method, url, options)
    body, content_type = encode(
        json=options.get("json"),
        content=options.get("content"),
        data=options.get("data"),
        files=options.get("files"),
    )
    check_has_body(method, body)
    headers = headers_of(options.get("headers") or {})
    request = Request(
        method.upper(),
        merge_params(url, options.get("params")),
        headers,
        body,
        auth=options.get("auth", True),
        upload_progress=options.get("upload_progress"),
    )
    if content_type is not None and "content-type" not in headers:
        request = request.with_header("content-type", content_type)
    return request


def check_has_body(method: str, body: Body) -> None:
    """Check that a request with this method may have this body.

    Raises:
        ValueError: If it may not.
    """
    if body is not None and method.upper() in BODILESS_METHODS:
        message = f"a {method.upper()} request has no body: json, content, data and files need POST"
        raise ValueError(message)


def _check(method: str, url: str, options: RequestOptions) -> None:
    for name in options:
        if name not in OPTION_NAMES:
            raise TypeError(unknown_option(name, OPTION_NAMES))
    for name, value in (("method", method), ("url", url)):
        if not isinstance(value, str):
            raise TypeError(f"{name} is a text")
    for name in ("params", "data", "files"):
        if not isinstance(options.get(name) or {}, Mapping):
            raise TypeError(f"{name} is a mapping of names to values")
    _check_timeout(options.get("timeout"))
    auth = options.get("auth", True)
    if not isinstance(auth, bool) and auth != "optional":
        raise TypeError('auth is True, False or "optional"')
    for name in PROGRESS_OPTIONS:
        callback = options.get(name)
        if callback is not None and not callable(callback):
            raise TypeError(f"{name} is a function of the bytes so far and the total")


def _check_timeout(timeout: object) -> None:
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError("timeout is a number of seconds, or None")
    if not 0 < timeout < math.inf:
        raise ValueError("timeout is a positive number of seconds, or None for no limit")


def headers_of(fields: Any) -> Headers:
    """Return header fields from a mapping or pairs.

    Raises:
        TypeError: If it is neither.
    """
    pairs = [*fields.items()] if isinstance(fields, Mapping) else fields
    try:
        return Headers([(name, value) for name, value in pairs])
    except (TypeError, ValueError, AttributeError):
        raise TypeError("headers is a mapping of names to texts") from None


def encode(
    *,
    json: Any = None,
    content: bytes | str | OneShot | None = None,
    data: Fields | None = None,
    files: Mapping[str, File] | None = None,
) -> tuple[bytes | OneShot | None, str | None]:
    """Return the body and its content type; each is None if there is none.

    Args:
        json: Any JSON value.
        content: Bytes or text to send unchanged, or an iterable of bytes that can be sent once.
        data: Form fields.
        files: Form files by field; see ``RequestOptions``.

    Raises:
        TypeError: If ``json`` is not a JSON value, or a body is not of its type.
        ValueError: If more than one kind of body is given, or it has what cannot be encoded.
    """
    if sum((json is not None, content is not None, data is not None or files is not None)) > 1:
        raise ValueError("give one of json, content, or data and files")
    if json is not None:
        return _utf8("json", _json(json)), "application/json"
    if files is not None:
        return _multipart(data or {}, files)
    if data is not None:
        return _query("data", data).encode(), "application/x-www-form-urlencoded"
    if isinstance(content, str):
        return _utf8("content", content), "text/plain; charset=utf-8"
    return _raw(content), None


def _json(value: Any) -> str:
    try:
        return jsonlib.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"json is not a JSON value: {error}") from None


def _raw(content: Any) -> bytes | OneShot | None:
    if isinstance(content, bytearray | memoryview):
        return bytes(content)
    is_stream = isinstance(content, Iterable | AsyncIterable) and not isinstance(content, Mapping)
    if content is None or isinstance(content, bytes) or is_stream:
        return cast("bytes | OneShot | None", content)
    raise TypeError("content is bytes, text, or an iterable of bytes")


def _utf8(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} has surrogates, which UTF-8 cannot encode") from None


def _query(name: str, fields: Fields, **options: Any) -> str:
    try:
        return urlencode(fields, doseq=True, **options)
    except UnicodeEncodeError:
        raise ValueError(f"{name} has surrogates, which UTF-8 cannot encode") from None


def _multipart(data: Fields, files: Mapping[str, File]) -> tuple[bytes, str]:
    """Encode a form as browsers do (RFC 7578; the escapes are those of the HTML standard)."""
    boundary = secrets.token_hex(16)
    parts = [_part(_named(name), _utf8("data", value)) for name, value in _pairs(data)]
    for name, file in files.items():
        filename, content, kind = _file(name, file)
        header = f'{_named(name)}; filename="{_escaped(filename)}"'
        parts.append(_part(f"{header}\r\nContent-Type: {_header_safe(kind)}", content))
    mark = b"--" + boundary.encode()
    body = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
    return body, f"multipart/form-data; boundary={boundary}"


def _file(field: str, file: Any) -> tuple[str, bytes, str]:
    """Return the name, the content and the content type of a file, read to its end.

    Raises:
        TypeError: If it is none of the forms of ``RequestOptions``.
    """
    parts = file if isinstance(file, tuple) else (_name_of(file) or field, file)
    name, content, kind = (*parts, OCTETS)[:3] if len(parts) in {2, 3} else (None, None, None)
    if hasattr(content, "read"):
        content = content.read()
    if isinstance(content, bytearray | memoryview):
        content = bytes(content)
    if isinstance(content, str):
        raise TypeError(f"files: {field} is text; give bytes, or a file opened with 'rb'")
    if not isinstance(name, str) or not isinstance(content, bytes) or not isinstance(kind, str):
        raise TypeError(
            f"files: {field} is bytes, a file, (name, content) or (name, content, type)"
        )
    return name, content, kind


def _name_of(file: Any) -> str:
    name = getattr(file, "name", "")
    return PurePath(name).name if isinstance(name, str) else ""


def _pairs(data: Fields) -> Iterable[tuple[str, str]]:
    for name, value in data.items():
        values = [value] if isinstance(value, str | int | float) else value
        yield from ((name, str(one)) for one in values)


def _part(header: str, content: bytes) -> bytes:
    return f"Content-Disposition: {header}\r\n\r\n".encode() + content


def _named(name: str) -> str:
    return f'form-data; name="{_escaped(name)}"'


def _escaped(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _header_safe(text: str) -> str:
    if "\r" in text or "\n" in text:
        raise ValueError("a content type must be one line")
    return text


def merge_params(url: str, params: Fields | None) -> str:
    """Return the URL with the parameters added to its query."""
    if not params:
        return url
    address, mark, fragment = url.partition("#")
    joint = "&" if "?" in address else "?"
    return f"{address}{joint}{_query('params', params, quote_via=quote)}{mark}{fragment}"


def read_body(body: Body) -> bytes | None:
    """Return the whole body, for a transport that blocks.

    Raises:
        TypeError: If the body is an asynchronous stream.
    """
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, AsyncIterable):
        raise TypeError("an asynchronous stream needs the AsyncClient")
    return join([*body])


def join(pieces: list[bytes]) -> bytes:
    """Return the pieces of a stream as one.

    Raises:
        TypeError: If a piece is not bytes.
    """
    try:
        return b"".join(pieces)
    except TypeError:
        raise TypeError("content is an iterable of bytes") from None
