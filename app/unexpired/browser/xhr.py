"""The browser's blocking network: XMLHttpRequest, by way of pyodide-http.

On a page's main thread such a request cannot be bounded in time, and nothing else runs meanwhile
(XMLHttpRequest Standard, the open() method). Beneath what pyodide-http patches: its urllib reads
the body of a chunked reply, which the browser has put together, as if it still were in chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyodide.ffi import JsException
from pyodide_http import _core as xhr

from unexpired.browser.fetch import unpacked
from unexpired.content import read_body
from unexpired.errors import Unreachable
from unexpired.messages import Headers, Request, Response

if TYPE_CHECKING:
    from unexpired.ports import SyncTransport


class XhrTransport:
    """Sends requests through a blocking XMLHttpRequest."""

    def send(self, request: Request, timeout: float | None) -> Response:
        """Send the request; see ``SyncTransport``."""
        theirs = xhr.Request(
            request.method,
            request.url,
            body=read_body(request.body),
            headers=dict(request.headers),
            timeout=timeout or 0,
        )
        try:
            reply = xhr.send(theirs)
        except JsException as error:
            if error.name not in {"NetworkError", "TimeoutError"}:
                raise
            raise Unreachable from None
        headers = unpacked(Headers(reply.headers))
        return Response(reply.status_code, headers, reply.body, request.url)


if TYPE_CHECKING:
    _: type[SyncTransport] = XhrTransport
