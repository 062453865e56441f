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

from unexpired.browser.host import is_online, page_url
from unexpired.content import join
from unexpired.errors import Unreachable
from unexpired.hints import network_hint
from unexpired.messages import Body, Headers, Request, Response
from unexpired.timers import timeout_after

if TYPE_CHECKING:
    from unexpired.ports import ProbingTransport

PROBE_SECONDS = 5.0
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
            raise _translated(error, request, body) from None
        return Response(
            js_response.status,
            decoded_headers(Headers(js.Object.fromEntries(js_response.headers).to_py())),
            content,
            js_response.url,
        )

    async def probe(self, url: str) -> bool:
        """Return whether an origin responds at all; see ``ProbingTransport``."""
        js_abort = js.AbortController.new()
        init = {
            "method": "HEAD",
            "mode": "no-cors",
            "credentials": "omit",
            "cache": "no-store",
            "referrerPolicy": "no-referrer",
            "signal": js_abort.signal,
        }
        try:
            async with timeout_after(PROBE_SECONDS):
                await js.fetch(url, to_js(init, dict_converter=js.Object.fromEntries))
        except TimeoutError:
            js_abort.abort()
            return False
        except JsException:
            return False
        return True


async def _read_body(body: Body) -> bytes | None:
    """Return the whole body: not every browser can send a stream, and none over HTTP/1.1."""
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, AsyncIterable):
        return join([chunk async for chunk in body])
    return join([*body])


def _init(request: Request, body: bytes | None, js_signal: Any) -> Any:
    init: dict[str, Any] = {
        "method": request.method,
        "headers": dict(request.headers),
        "keepalive": request.keepalive,
    }
    if js_signal is not None:
        init["signal"] = js_signal
    if body is not None:
        init["body"] = body
    if "authorization" in request.headers:
        # A browser's cache does not tell people apart (RFC 9111, section 4.1, needs a Vary): it
        # would keep this response, and give it to the next one who signs in here.
        init["cache"] = "no-store"
    if request.sensitive:  # A 307 would send the credential in the body to another address.
        # Cookies go to the page's own origin only: a proxy in front of it may need its own.
        init |= {"redirect": "error", "cache": "no-store", "credentials": "same-origin"}
    return to_js(init, dict_converter=js.Object.fromEntries)


def decoded_headers(headers: Headers) -> Headers:
    """Return the headers without those of the encoding, which the browser has decoded."""
    if "content-encoding" not in headers:
        return headers
    untrue = {"content-encoding", "content-length"}
    return Headers({name: value for name, value in headers.items() if name not in untrue})


def _translated(error: JsException, request: Request, body: bytes | None) -> Exception:
    """Return Unreachable for a network failure, ValueError for a request that cannot be made."""
    if error.name not in NETWORK_ERRORS:
        return error
    if error.name == "TypeError" and not _can_be_made(request, body):
        return ValueError("the browser refuses to send this request: look at its URL and headers")
    return unreachable(request)


def _can_be_made(request: Request, body: bytes | None) -> bool:
    """Return whether the browser accepts the request: fetch reports both failures as TypeError."""
    try:
        js.Request.new(request.url, _init(request, body, None))
    except JsException:
        return False
    return True


def unreachable(request: Request) -> Unreachable:
    """Return the error for a request without a response, with a hint for developers."""
    error = Unreachable()
    if hint := network_hint(request, page_url=page_url(), is_online=is_online()):
        error.add_note(hint)
    return error


if TYPE_CHECKING:
    _: type[ProbingTransport] = FetchTransport
