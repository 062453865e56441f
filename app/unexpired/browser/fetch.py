"""The browser's fetch as a transport.

It wraps ``js.fetch`` itself: ``pyodide.http.pyfetch`` reports every failure as an abort, and
``pyscript.fetch`` passes its options through JSON, which loses bytes and signals.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import js
from pyodide.ffi import JsException, to_js

from unexpired.browser.host import is_online, page_url
from unexpired.browser.promises import promise_of
from unexpired.browser.request_body import whole_body
from unexpired.browser.response_headers import ResponseHeaders
from unexpired.browser.upload import NOT_SENDABLE, reported_at_its_ends, reports_progress, upload
from unexpired.errors import Unreachable
from unexpired.hints import network_hint
from unexpired.messages import Headers, Progress, Request, Response
from unexpired.origins import origin_of
from unexpired.streams import AsyncResponseStream, is_small
from unexpired.timers import timeout_after

if TYPE_CHECKING:
    from unexpired.ports import ProbingTransport, StreamingTransport
    from unexpired.streams import AsyncBody

MAX_DIGITS = 15
OVERHEAD = 64  # bytes that an encoding may add, besides a thousandth
PROBE_SECONDS = 5.0
NETWORK_ERRORS = {"TypeError", "AbortError", "NetworkError", "TimeoutError"}


class FetchTransport:
    """Sends requests through the page's fetch."""

    async def send(self, request: Request) -> Response:
        """Send the request; see ``Transport``."""
        async with aclosing(await self.open(request)) as stream:
            return await stream.aread()

    async def open(self, request: Request) -> AsyncResponseStream:
        """Send the request; see ``StreamingTransport``."""
        body = None if request.body is None else await whole_body(request.body)
        if request.upload_progress is not None and reports_progress(request, body):
            response = await _upload(request, body, request.upload_progress)
            return AsyncResponseStream.of(response)
        js_abort = js.AbortController.new()
        try:
            with reported_at_its_ends(request, body):
                init = _init(request, body, js_abort.signal)
                js_response = await promise_of(js.fetch, request.url, init)
        except asyncio.CancelledError:
            js_abort.abort()
            raise
        except JsException as error:
            raise _translated(error, request, body) from None
        headers = ResponseHeaders(js_response.headers)
        return AsyncResponseStream(
            js_response.status,
            decoded_headers(headers),
            _FetchBody(
                js_response,
                js_abort,
                is_small=is_small(headers),
                least=least_length(request, headers, is_own=js_response.type == "basic"),
            ),
            url=js_response.url,
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


def least_length(request: Request, headers: Headers, *, is_own: bool) -> int:
    """Return how many bytes the body of a response has at least.

    Fewer were cut off, which Firefox does not say. Of another origin nobody sees whether the body
    is encoded; then the length is that of the encoded one, which is hardly ever longer.

    Args:
        request: The request.
        headers: The response's header fields.
        is_own: Whether the response is of the page's own origin.
    """
    length = headers.get("content-length", "")
    if request.method == "HEAD" or "content-encoding" in headers or not length.isdecimal():
        return 0
    size = int(length[:MAX_DIGITS])
    return size if is_own else size - OVERHEAD - size // 1000


class _FetchBody:
    """The body of a response of fetch.

    Args:
        js_response: The response.
        js_abort: Aborts the request.
        is_small: Whether the body is read at once, which costs less than piece by piece.
        least: How many bytes it has at least; fewer were cut off, which not every browser says.

    Attributes:
        is_complete: Whether nothing is left to read.
    """

    def __init__(self, js_response: Any, js_abort: Any, *, is_small: bool, least: int) -> None:
        self._js_response = js_response
        self._js_abort = js_abort
        self._is_small = is_small
        self._missing = least
        self._js_reader: Any = None
        self.is_complete = False

    async def read(self) -> bytes:
        """Return the next piece; see ``AsyncBody``."""
        if self.is_complete:
            return b""
        try:
            return await (self._read_whole() if self._is_small else self._read_piece())
        except JsException as error:
            if error.name not in NETWORK_ERRORS:
                raise
            raise Unreachable from None

    async def _read_whole(self) -> bytes:
        js_buffer = await promise_of(self._js_response.arrayBuffer)
        content: bytes = js_buffer.to_bytes()
        self._missing -= len(content)
        self._end()
        return content

    async def _read_piece(self) -> bytes:
        if self._js_reader is None:
            if self._js_response.body is None:
                self._end()
                return b""
            self._js_reader = self._js_response.body.getReader()
        while not (js_result := await promise_of(self._js_reader.read)).done:
            if js_result.value.length:
                piece: bytes = js_result.value.to_bytes()
                self._missing -= len(piece)
                return piece
        self._end()
        return b""

    def _end(self) -> None:
        if self._missing > 0:
            raise Unreachable
        self.is_complete = True

    def close(self) -> None:
        """Abort the download, unless it is complete."""
        if not self.is_complete:
            self._js_abort.abort()


async def _upload(request: Request, body: Any, progress: Progress) -> Response:
    try:
        status, headers, content, url = await upload(request, body, progress)
    except ConnectionError:
        raise unreachable(request) from None
    check_length(request, headers, content)
    return Response(status, decoded_headers(headers), content, url)


def check_length(request: Request, headers: Headers, content: bytes) -> None:
    """Check that a body which was read at once is whole.

    Raises:
        Unreachable: If it was cut off.
    """
    is_own = origin_of(request.url) == origin_of(page_url())
    if len(content) < least_length(request, headers, is_own=is_own):
        raise unreachable(request)


def _init(request: Request, body: Any, js_signal: Any) -> Any:
    init: dict[str, Any] = {
        "method": request.method,
        "headers": dict(request.headers.items()),
    }
    if request.keepalive:
        init["keepalive"] = True
    if js_signal is not None:
        init["signal"] = js_signal
    if body is not None:
        init["body"] = body
    if request.wants_events:
        init["cache"] = "no-store"  # HTML Standard, section 9.2.2
    if "authorization" in request.headers:
        # A browser's cache does not tell people apart (RFC 9111, section 4.1, needs a Vary): it
        # would keep this response, and give it to the next one who signs in here.
        init["cache"] = "no-store"
    if request.sensitive:  # A 307 would send the credential in the body to another address.
        # Cookies go to the page's own origin only: a proxy in front of it may need its own.
        init |= {"redirect": "error", "cache": "no-store", "credentials": "same-origin"}
    if request.cookies:
        init["credentials"] = "include"
    return to_js(init, dict_converter=js.Object.fromEntries)


def decoded_headers(headers: Headers) -> Headers:
    """Return the headers without those of the encoding, which the browser has decoded."""
    if "content-encoding" not in headers:
        return headers
    untrue = {"content-encoding", "content-length"}
    return Headers({name: value for name, value in headers.items() if name not in untrue})


def _translated(error: JsException, request: Request, body: Any) -> Exception:
    """Return Unreachable for a network failure, ValueError for a request that cannot be made."""
    if error.name not in NETWORK_ERRORS:
        return error
    if error.name == "TypeError" and not _can_be_made(request, body):
        return ValueError(NOT_SENDABLE)
    return unreachable(request)


def _can_be_made(request: Request, body: Any) -> bool:
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
    _probing: type[ProbingTransport] = FetchTransport
    _streaming: type[StreamingTransport] = FetchTransport
    _body: type[AsyncBody] = _FetchBody
