"""Uploads that report their progress, through XMLHttpRequest: fetch cannot tell.

It is used only where a caller wants to know, because it knows neither a cache mode nor how to
refuse a redirect. Of another origin the browser asks for permission first, in a request of its own
(XMLHttpRequest Standard, upload listeners).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import js
from pyodide.ffi import JsException, create_proxy, to_js

from unexpired.browser.host import js_global
from unexpired.messages import Headers, Progress, Request

NOT_SENDABLE = "the browser refuses to send this request: look at its URL and headers"

Received = tuple[int, Headers, bytes, str]
"""Status, header fields, body and URL of a response."""


def reports_progress(request: Request, js_body: Any) -> bool:
    """Return whether the request is sent by ``upload``."""
    wants_it = request.upload_progress is not None and js_body is not None
    is_plain = not request.sensitive and not request.keepalive
    return wants_it and is_plain and js_global("XMLHttpRequest") is not None


async def upload(request: Request, js_body: Any, progress: Progress) -> Received:
    """Send the request; return what was received.

    Args:
        request: The request.
        js_body: Its body, as bytes or a ``Blob``.
        progress: Is called with the bytes so far and the total, which starts at 0.

    Raises:
        ConnectionError: If no response came.
        ValueError: If the browser cannot make the request.
    """
    js_xhr = js.XMLHttpRequest.new()
    done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    js_sent = create_proxy(_reporter(progress, done))
    js_received, js_failed = (create_proxy(_setter(done, value)) for value in (True, False))
    try:
        _open(js_xhr, request)
        for event in ("loadstart", "progress", "load"):
            js_xhr.upload.addEventListener(event, js_sent)
        js_xhr.addEventListener("load", js_received)
        js_xhr.addEventListener("error", js_failed)
        js_xhr.send(to_js(js_body))
        if not await done:
            raise ConnectionError
        return _received(js_xhr)
    finally:
        js_xhr.abort()  # It does nothing to a request that is complete.
        for proxy in (js_sent, js_received, js_failed):
            proxy.destroy()


@contextmanager
def reported_at_its_ends(request: Request, js_body: Any) -> Iterator[None]:
    """Report the start and the end of an upload, where there is no way to know more."""
    progress = None if js_body is None else request.upload_progress
    if progress is None:
        yield
        return
    total = len(js_body) if isinstance(js_body, bytes) else int(js_body.size)
    progress(0, total)
    yield
    progress(total, total)


def _open(js_xhr: Any, request: Request) -> None:
    try:
        js_xhr.open(request.method, request.url)
        for name, value in request.headers.items():
            js_xhr.setRequestHeader(name, value)
    except JsException:
        raise ValueError(NOT_SENDABLE) from None
    js_xhr.responseType = "arraybuffer"


def _reporter(progress: Progress, done: asyncio.Future[bool]) -> Callable[[Any], None]:
    """Return a listener that calls the caller's function, whose exception ends the upload."""
    last = -1

    def report(js_event: Any) -> None:
        nonlocal last
        if js_event.loaded == last or done.done():
            return
        last = js_event.loaded
        try:
            progress(last, js_event.total if js_event.lengthComputable else None)
        except BaseException as error:  # noqa: BLE001 - it is raised where the upload is awaited
            done.set_exception(error)

    return report


def _setter(done: asyncio.Future[bool], value: bool) -> Callable[[Any], None]:  # noqa: FBT001
    def set_result(_: Any) -> None:
        if not done.done():
            done.set_result(value)

    return set_result


def _received(js_xhr: Any) -> Received:
    lines = str(js_xhr.getAllResponseHeaders()).splitlines()
    fields = [line.partition(": ") for line in lines]
    headers = Headers([(name, value) for name, _, value in fields])
    content = js_xhr.response.to_bytes() if js_xhr.response else b""
    return int(js_xhr.status), headers, content, str(js_xhr.responseURL)
