"""Parameters and forms, as httpx and browsers write them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import IO, Any
from urllib.parse import quote_plus, urlencode

from unexpired.body_parts import Blob, BlobPart, PartedBody, part_of
from unexpired.messages import Headers, check_header

OCTETS = "application/octet-stream"

Primitive = str | int | float | bool | None
Values = Primitive | Iterable[Primitive]
Fields = Mapping[str, Values] | Iterable[tuple[str, Values]]

FileContent = bytes | bytearray | memoryview | IO[bytes] | Path | Blob
File = (
    FileContent
    | tuple[str | None, FileContent]
    | tuple[str | None, FileContent, str | None]
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]
)
Files = Mapping[str, File] | Iterable[tuple[str, File]]

MAX_FILE_TUPLE = 4
MIN_FILE_TUPLE = 2


def query(name: str, fields: Fields, quote_via: Callable[..., str] = quote_plus) -> str:
    """Return fields in the form ``a=1&b=2``.

    Args:
        name: The option that they were given as, for messages.
        fields: The fields; a list repeats its field.
        quote_via: How a text is quoted, as for ``urllib.parse.urlencode``.

    Raises:
        TypeError: If they are neither a mapping nor pairs.
        ValueError: If a text has surrogates.
    """
    try:
        return urlencode(list(_pairs(name, fields)), quote_via=quote_via)
    except UnicodeEncodeError:
        raise no_utf8(name) from None


def no_utf8(name: str) -> ValueError:
    """Return the error for a text that UTF-8 cannot encode."""
    return ValueError(f"{name} has surrogates, which UTF-8 cannot encode")


def multipart(data: Fields, files: Files) -> tuple[PartedBody, str]:
    """Return a form with files, and its content type.

    It is written as browsers do (RFC 7578; the escapes are those of the HTML standard).

    Raises:
        TypeError: If a field or a file has none of the forms of ``RequestOptions``.
        ValueError: If a text cannot be sent.
        OSError: If a file cannot be read.
    """
    boundary = secrets.token_hex(16)
    mark = f"--{boundary}\r\n".encode()
    parts: list[Any] = []
    for name, value in _pairs("data", data):
        content = value if isinstance(value, bytes) else _encoded("data", value)
        parts += [mark + _head(_named(name), {}), content, b"\r\n"]
    for name, file in _items("files", files):
        head, content = _file(name, file)
        parts += [mark + head, content, b"\r\n"]
    return PartedBody([*_joined([*parts, mark[:-2] + b"--\r\n"])]), (
        f"multipart/form-data; boundary={boundary}"
    )


def _joined(parts: Iterable[Any]) -> Iterator[Any]:
    """Yield the parts, with neighbouring bytes as one."""
    gathered: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            gathered.append(part)
        else:
            yield b"".join(gathered)
            yield part
            gathered = []
    yield b"".join(gathered)


def _items(name: str, fields: Any) -> Iterator[tuple[str, Any]]:
    """Yield the pairs of a mapping, or pairs as they are."""
    if isinstance(fields, str | bytes) or not isinstance(fields, Iterable):
        raise TypeError(f"{name} is a mapping of names to values, or a list of pairs")
    for item in fields.items() if isinstance(fields, Mapping) else fields:
        if not isinstance(item, tuple | list) or len(item) != 2:  # noqa: PLR2004 - a pair
            raise TypeError(f"{name} is a mapping of names to values, or a list of pairs")
        yield str(item[0]), item[1]


def _pairs(name: str, fields: Fields) -> Iterator[tuple[str, str | bytes]]:
    for field, value in _items(name, fields):
        if isinstance(value, Mapping):
            raise TypeError(f"{name}: the value of {field} is a mapping; give texts or a list")
        is_list = isinstance(value, Iterable) and not isinstance(value, str | bytes)
        for one in value if is_list else [value]:
            yield field, _text(one)


def _text(value: Any) -> str | bytes:
    """Return a value as httpx writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str | bytes) else str(value)


def _file(field: str, file: Any) -> tuple[bytes, Any]:
    """Return the head and the content of the part for a file.

    Raises:
        TypeError: If it is none of the forms of ``RequestOptions``.
    """
    given = file if isinstance(file, tuple) else (_name_of(file) or field, file)
    if not MIN_FILE_TUPLE <= len(given) <= MAX_FILE_TUPLE:
        raise _no_file(field)
    filename, content, kind, further = (*given, None, None)[:4]
    if isinstance(content, str):
        raise TypeError(f"files: {field} is text; give bytes, or a file opened with 'rb'")
    part = part_of(f"files: {field}", content)
    is_named = filename is None or isinstance(filename, str)
    if part is None or not is_named or not (kind is None or isinstance(kind, str)):
        raise _no_file(field)
    disposition = _named(field)
    if filename is not None:
        disposition += f'; filename="{_escaped(filename)}"'
        kind = kind or (isinstance(part, BlobPart) and part.type) or _guessed(filename)
    return _head(disposition, _headers(kind, further or {})), part


def _no_file(field: str) -> TypeError:
    return TypeError(
        f"files: {field} is bytes, a file, a path, (name, content), (name, content, type)"
        " or (name, content, type, headers)"
    )


def _name_of(file: Any) -> str:
    name = getattr(file, "name", "")
    return PurePath(name).name if isinstance(name, str) else ""


def _guessed(filename: str) -> str:
    import mimetypes  # noqa: PLC0415 - few pages need it

    return mimetypes.guess_type(filename)[0] or OCTETS


def _headers(kind: str | None, further: Mapping[str, str]) -> Headers:
    headers = Headers(further)
    if kind is not None and "content-type" not in headers:
        headers = Headers({**headers, "content-type": kind})
    for name, value in headers.items():
        if "\r" in str(value) or "\n" in str(value):
            raise ValueError(f"files: a content type or a header must be one line: {name}")
        check_header(name, value)
    return headers


def _head(disposition: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"Content-Disposition: {disposition}"]
    lines += [f"{name.title()}: {value}" for name, value in headers.items()]
    return _encoded("files", "\r\n".join([*lines, "", ""]))


def _encoded(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise no_utf8(name) from None


def _named(name: str) -> str:
    return f'form-data; name="{_escaped(name)}"'


def _escaped(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
