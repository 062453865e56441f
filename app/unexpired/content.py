"""From the options of a call to a request whose body is encoded once, for all its attempts."""

from __future__ import annotations

import json as jsonlib
import math
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, TypedDict, cast
from urllib.parse import quote

from unexpired.body_parts import Blob, PartedBody, part_of
from unexpired.errors import unknown_option
from unexpired.forms import Fields, Files, multipart, no_utf8, query
from unexpired.messages import Auth, Body, Headers, OneShot, Progress, Request

Content = bytes | str | OneShot | IO[bytes] | Path | Blob
# RFC 9110, section 9.3.1: a body of GET or HEAD means nothing, and browsers refuse to send one.
BODILESS_METHODS = frozenset({"GET", "HEAD"})


class RequestOptions(TypedDict, total=False):
    """What every request method takes besides the method and the URL.

    Attributes:
        params: Added to the URL's query: a mapping or pairs. As in httpx, None is written as an
            empty text, True and False as ``true`` and ``false``, and a list repeats its field.
        headers: Header fields.
        json: Any JSON value, sent as the body.
        content: Sent as the body: bytes, text, a ``pathlib.Path``, a file opened with ``"rb"``, a
            ``Blob`` or ``File`` of JavaScript, or an iterable of bytes, which can be sent once. A
            file is sent from where it stands, and can be sent again if it is seekable.
        data: Form fields, with values as those of ``params``.
        files: Form files: a mapping of fields, or pairs. Each is the content, ``(name, content)``,
            ``(name, content, type)`` or ``(name, content, type, headers)``; the content is one of
            those of ``content`` except for text and iterables. Where no type is given, it is
            guessed from the name.
        timeout: Seconds until the response's head, with every refresh and repetition that it
            takes, and of silence within its body; None for no limit; the client's by default.
        auth: Whether the request carries the token: True by default; False sends it without one,
            also when nobody is signed in, and never redirects to the sign-in page; ``"optional"``
            sends it with a token if there is one, and never redirects either; ``"sign_in"`` is as
            False, for a request whose response is given to ``adopt``, as a sign-up's: its session
            is bound to a key of this device, as after ``sign_in``.
        upload_progress: Is called while the body is sent, with the bytes so far and the total, or
            None where that is unknown; a repeated request starts again at 0.
        download_progress: Is called after each piece of the response's body, with the bytes so far
            and the total, or None where that is unknown, as of a compressed body.
    """

    params: Fields
    headers: Mapping[str, str]
    json: Any
    content: Content
    data: Fields
    files: Files
    timeout: float | None
    auth: Auth
    upload_progress: Progress | None
    download_progress: Progress | None


OPTION_NAMES = sorted(RequestOptions.__optional_keys__)
PROGRESS_OPTIONS = ("upload_progress", "download_progress")


def build_request(
    method: str, url: str, options: RequestOptions, resolve: Callable[[str], str] = str
) -> Request:
    """Return the request that these options describe.

    Args:
        method: The HTTP method.
        url: The URL, without ``params``.
        options: The options of the call.
        resolve: Returns the URL to send to for one with them.

    Raises:
        TypeError: If there is no such option, or one is of the wrong type; it names the option.
        ValueError: If the method, a header or the body cannot be sent.
        OSError: If a file cannot be read.
    """
    _check(method, url, options)
    if not options:  # As most calls: what follows takes 2 µs in a page, of 10.
        return Request(method.upper(), resolve(url))
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
        resolve(merge_params(url, options.get("params"))),
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
    _check_timeout(options.get("timeout"))
    auth = options.get("auth", True)
    if not isinstance(auth, bool) and auth not in {"optional", "sign_in"}:
        raise TypeError('auth is True, False, "optional" or "sign_in"')
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
    content: Content | None = None,
    data: Fields | None = None,
    files: Files | None = None,
) -> tuple[Body, str | None]:
    """Return the body and its content type; each is None if there is none.

    Args:
        json: Any JSON value.
        content: The body itself; see ``RequestOptions``.
        data: Form fields.
        files: Form files by field; see ``RequestOptions``.

    Raises:
        TypeError: If ``json`` is not a JSON value, or a body is not of its type.
        ValueError: If more than one kind of body is given, or it has what cannot be encoded.
        OSError: If a file cannot be read.
    """
    if sum((json is not None, content is not None, data is not None or files is not None)) > 1:
        raise ValueError("give one of json, content, or data and files")
    if json is not None:
        return _utf8("json", _json(json)), "application/json"
    if files is not None:
        return multipart(data or {}, files)
    if data is not None:
        return query("data", data).encode(), "application/x-www-form-urlencoded"
    if isinstance(content, str):
        return _utf8("content", content), "text/plain; charset=utf-8"
    return _raw(content), None


def _json(value: Any) -> str:
    try:
        return jsonlib.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"json is not a JSON value: {error}") from None


def _raw(content: Any) -> Body:
    if content is None:
        return None
    is_stream = isinstance(content, Iterable | AsyncIterable) and not isinstance(content, Mapping)
    part = part_of("content", content)
    if part is None and not is_stream:
        raise TypeError("content is bytes, text, a file, a path, or an iterable of bytes")
    if part is None:
        return cast("OneShot", content)
    return part if isinstance(part, bytes) else PartedBody([part])


def _utf8(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise no_utf8(name) from None


def merge_params(url: str, params: Fields | None) -> str:
    """Return the URL with the parameters added to its query."""
    if not params:
        return url
    address, mark, fragment = url.partition("#")
    added = query("params", params, quote)
    joint = "&" if "?" in address else "?"
    return f"{address}{joint}{added}{mark}{fragment}" if added else url


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
