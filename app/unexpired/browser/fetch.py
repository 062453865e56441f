"""The browser's fetch as a transport.

It wraps ``js.fetch`` itself: ``pyodide.http.pyfetch`` reports every failure as an abort, and
``pyscript.fetch`` passes its options through JSON, where bytes and signals are lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

import js
from pyodide.ffi import JsException, to_js

from unexpired.errors import Unreachable
from unexpired.messages import Body, Headers, Request, Response

if TYPE_CHECKING:
    from unexpired.ports import Transport


class FetchTransport:
    """Sends requests through the page's fetch."""

    async def send(self, request: Request) -> Response:
        """Send the request; see ``Transport``."""
        body = await _gathered(request.body)
        js_abort = js.AbortController.new()
        try:
            js_response = await js.fetch(request.url, _init(request, body, js_abort.signal))
            content = (await js_response.arrayBuffer()).to_bytes()
        except asyncio.CancelledError:
            js_abort.abort()
            raise
        except JsException as error:
            raise _translated(error) from None
        return Response(
            js_response.status,
            unpacked(Headers(js.Object.fromEntries(js_response.headers).to_py())),
            content,
            js_response.url,
        )


async def _gathered(body: Body) -> bytes | None:
    """Return the whole body: not every browser can send a stream, and none over HTTP/1.1."""
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, AsyncIterable):
        return b"".join([chunk async for chunk in body])
    return b"".join(body)


def _init(request: Request, body: bytes | None, js_signal: Any) -> Any:
    init: dict[str, Any] = {
        "method": request.method,
        "headers": dict(request.headers),
        "signal": js_signal,
        "keepalive": request.keepalive,
    }
    if body is not None:
        init["body"] = body
    if request.sensitive:  # A 307 would carry the credential in the body to wherever it points.
        init |= {"redirect": "error", "cache": "no-store", "credentials": "omit"}
    return to_js(init, dict_converter=js.Object.fromEntries)


def unpacked(headers: Headers) -> Headers:
    """Leave out what told of the content's packing: the browser has unpacked it."""
    if "content-encoding" not in headers:
        return headers
    untrue = {"content-encoding", "content-length"}
    return Headers({name: value for name, value in headers.items() if name not in untrue})


def _translated(error: JsException) -> Exception:
    """Return the network's failures as Unreachable, and a mistake in the request as it is."""
    if error.name in {"TypeError", "AbortError", "NetworkError", "TimeoutError"}:
        return Unreachable()
    return error


if TYPE_CHECKING:
    _: type[Transport] = FetchTransport
