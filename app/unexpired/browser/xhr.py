"""The browser's blocking network: XMLHttpRequest, through pyodide-http.

On a page's main thread such a request can have no timeout, and nothing else runs meanwhile
(XMLHttpRequest Standard, the open() method). It calls pyodide-http's core, below what the library
patches: its urllib would decode the chunks of a response that the browser has decoded already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyodide.ffi import JsException

from unexpired.browser.fetch import check_length, decoded_headers, unreachable
from unexpired.browser.host import page_url
from unexpired.browser.request_body import whole_body_now
from unexpired.browser.upload import reported_at_its_ends
from unexpired.messages import Headers, Request, Response
from unexpired.origins import origin_of

if TYPE_CHECKING:
    from unexpired.ports import SyncTransport


NO_SUCH_TAG = '"unexpired: no stored response"'


class XhrTransport:
    """Sends requests through a blocking XMLHttpRequest."""

    def send(self, request: Request, timeout: float | None) -> Response:
        """Send the request; see ``SyncTransport``.

        Raises:
            ModuleNotFoundError: If pyodide-http is not installed.
            ValueError: If it needs the cookies of another origin.
        """
        _check_cookies(request)
        xhr, body = _pyodide_http(), whole_body_now(request.body)
        theirs = xhr.Request(
            request.method,
            request.url,
            body=body,
            headers=_headers(request),
            timeout=timeout or 0,
        )
        try:
            with reported_at_its_ends(request, body):
                response = xhr.send(theirs)
        except JsException as error:
            if error.name not in {"NetworkError", "TimeoutError"}:
                raise
            raise unreachable(request) from None
        headers = Headers(response.headers)
        check_length(request, headers, response.body)
        return Response(response.status_code, decoded_headers(headers), response.body, request.url)


def _check_cookies(request: Request) -> None:
    if request.cookies and origin_of(request.url) != origin_of(page_url()):
        raise ValueError(
            'storage="cookie" with an API of another origin needs AsyncClient here, or an engine'
            " with JSPI: a blocking request of pyodide-http takes no cookies along"
        )


def _headers(request: Request) -> dict[str, str]:
    """Return the headers, with one that keeps the browser's cache out of a signed-in request.

    XMLHttpRequest has no cache mode, but a condition of the caller's sets it to ``no-store`` (Fetch
    Standard, HTTP-network-or-cache fetch). No response has this tag. Another origin would have to
    allow the header, so there the API itself has to send ``Vary`` or ``no-store``.
    """
    headers = dict(request.headers)
    if "authorization" in headers and origin_of(request.url) == origin_of(page_url()):
        headers.setdefault("if-none-match", NO_SUCH_TAG)
    return headers


def _pyodide_http() -> Any:
    try:
        from pyodide_http import _core  # noqa: PLC0415 - few pages make synchronous requests
    except ModuleNotFoundError as error:
        if error.name != "pyodide_http":
            raise
        raise ModuleNotFoundError(
            'synchronous requests need a package here: await micropip.install("pyodide-http")',
            name="pyodide_http",
        ) from None
    return _core


if TYPE_CHECKING:
    _: type[SyncTransport] = XhrTransport
