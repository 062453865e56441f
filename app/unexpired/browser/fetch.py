"""The browser's fetch as a transport.

It wraps ``js.fetch`` itself: ``pyodide.http.pyfetch`` reports every failure as an abort, and
``pyscript.fetch`` passes its options through JSON, which loses bytes and signals.
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

NETWORK_ERRORS = {"TypeError", "AbortError", "NetworkError", "TimeoutError"}


class FetchTransport:
    """Sends requests through the page's fetch."""

    async def send(self, request: Request) -> Response:
        """Send the request; see ``Transport``."""
        body = await _read_body(request.body)
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
            decoded_headers(Headers(js.Object.fromEntries(js_response.headers).to_py())),
            content,
            js_response.url,
        )


async def _read_body(body: Body) -> bytes | None:
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
    if request.sensitive:  # A 307 would send the credential in the body to another address.
        init |= {"redirect": "error", "cache": "no-store", "credentials": "omit"}
    return to_js(init, dict_converter=js.Object.fromEntries)


def decoded_headers(headers: Headers) -> Headers:
    """Return the headers without those of the encoding, which the browser has decoded."""
    if "content-encoding" not in headers:
        return headers
    untrue = {"content-encoding", "content-length"}
    return Headers({name: value for name, value in headers.items() if name not in untrue})


def _translated(error: JsException) -> Exception:
    """Return Unreachable for a network failure; an error in the request stays as it is."""
    return Unreachable() if error.name in NETWORK_ERRORS else error


if TYPE_CHECKING:
    _: type[Transport] = FetchTransport
