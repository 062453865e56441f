"""From the options of a call to a request whose body is encoded once, for all its attempts."""

from __future__ import annotations

import json as jsonlib
import secrets
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, TypedDict
from urllib.parse import quote, urlencode

from unexpired.messages import Body, Headers, OneShot, Request

File = tuple[str, bytes] | tuple[str, bytes, str]
Fields = Mapping[str, str | int | float | Iterable[str]]


class RequestOptions(TypedDict, total=False):
    """What every request method takes besides the method and the URL.

    Attributes:
        params: Added to the URL's query.
        headers: Header fields.
        json: Any JSON value, sent as the body.
        content: Bytes, text, or an iterable of bytes that can be sent once, sent as the body.
        data: Form fields.
        files: Form files by field: ``(name, bytes)`` or ``(name, bytes, content type)``.
        timeout: Seconds for the whole call; None for no limit; the client's by default.
    """

    params: Fields
    headers: Mapping[str, str]
    json: Any
    content: bytes | str | OneShot
    data: Fields
    files: Mapping[str, File]
    timeout: float | None


def build_request(method: str, url: str, options: RequestOptions) -> Request:
    """Return the request that these options describe.

    Raises:
        ValueError: If the body cannot be sent.
    """
    body, content_type = encode(
        json=options.get("json"),
        content=options.get("content"),
        data=options.get("data"),
        files=options.get("files"),
    )
    headers = Headers(options.get("headers") or {})
    request = Request(method.upper(), merge_params(url, options.get("params")), headers, body)
    if content_type is not None and "content-type" not in headers:
        request = request.with_header("content-type", content_type)
    return request


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
        files: Form files by field: ``(name, bytes)`` or ``(name, bytes, content type)``.

    Raises:
        ValueError: If more than one kind of body is given, or ``json`` is not a JSON value.
    """
    if sum((json is not None, content is not None, data is not None or files is not None)) > 1:
        raise ValueError("give one of json, content, or data and files")
    if json is not None:
        text = jsonlib.dumps(json, ensure_ascii=False, allow_nan=False)
        return text.encode(), "application/json"
    if files is not None:
        return _multipart(data or {}, files)
    if data is not None:
        return urlencode(data, doseq=True).encode(), "application/x-www-form-urlencoded"
    if isinstance(content, str):
        return content.encode(), "text/plain; charset=utf-8"
    return content, None


def _multipart(data: Fields, files: Mapping[str, File]) -> tuple[bytes, str]:
    """Encode a form as browsers do (RFC 7578; the escapes are those of the HTML standard)."""
    boundary = secrets.token_hex(16)
    parts = [_part(_named(name), value.encode()) for name, value in _pairs(data)]
    for name, (filename, content, *kind) in files.items():
        header = f'{_named(name)}; filename="{_escaped(filename)}"'
        kind_line = (
            f"\r\nContent-Type: {_header_safe(kind[0] if kind else 'application/octet-stream')}"
        )
        parts.append(_part(header + kind_line, content))
    mark = b"--" + boundary.encode()
    body = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
    return body, f"multipart/form-data; boundary={boundary}"


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
    return f"{address}{joint}{urlencode(params, doseq=True, quote_via=quote)}{mark}{fragment}"


def read_body(body: Body) -> bytes | None:
    """Return the whole body, for a transport that blocks.

    Raises:
        TypeError: If the body is an asynchronous stream.
    """
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, AsyncIterable):
        raise TypeError("an asynchronous stream needs the AsyncClient")
    return b"".join(body)
