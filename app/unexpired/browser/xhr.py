"""The browser's blocking network: XMLHttpRequest, through pyodide-http.

On a page's main thread such a request can have no timeout, and nothing else runs meanwhile
(XMLHttpRequest Standard, the open() method). It calls pyodide-http's core, below what the library
patches: its urllib would decode the chunks of a response that the browser has decoded already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyodide.ffi import JsException
from pyodide_http import _core as xhr

from unexpired.browser.fetch import decoded_headers
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
            response = xhr.send(theirs)
        except JsException as error:
            if error.name not in {"NetworkError", "TimeoutError"}:
                raise
            raise Unreachable from None
        headers = decoded_headers(Headers(response.headers))
        return Response(response.status_code, headers, response.body, request.url)


if TYPE_CHECKING:
    _: type[SyncTransport] = XhrTransport
