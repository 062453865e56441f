"""Bodies of requests, as the browser takes them."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

import js
from pyodide.ffi import to_js

from unexpired.body_parts import BlobPart, PartedBody
from unexpired.content import join, read_body
from unexpired.messages import Body


async def whole_body(body: Body) -> Any:
    """Return the whole body, as bytes or a ``Blob``, or None.

    Not every browser can send a stream, and none can over HTTP/1.1.
    """
    if isinstance(body, AsyncIterable):
        return join([chunk async for chunk in body])
    return whole_body_now(body)


def whole_body_now(body: Body) -> Any:
    """Return the whole body, as bytes or a ``Blob``, or None, without awaiting.

    Raises:
        TypeError: If the body is an asynchronous stream.
    """
    if not isinstance(body, PartedBody) or not body.has_blobs:
        return read_body(body)
    pieces = [part.js_blob if isinstance(part, BlobPart) else _read(part) for part in body.parts]
    # A blob of blobs refers to them: nothing is copied, also not a large file on the disk.
    return pieces[0] if len(pieces) == 1 else js.Blob.new(to_js(pieces))


def _read(part: Any) -> bytes:
    return part if isinstance(part, bytes) else join([*part])
