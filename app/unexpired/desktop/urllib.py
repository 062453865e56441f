"""urllib as a transport."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from unexpired.desktop.upload import Upload
from unexpired.errors import Unreachable
from unexpired.messages import Headers, Request, Response
from unexpired.origins import origin_of
from unexpired.streams import ResponseStream

if TYPE_CHECKING:
    from unexpired.ports import SyncStreamingTransport
    from unexpired.streams import SyncBody

CHUNK = 65_536  # bytes

# CORS-safelisted request header (Fetch Standard): what any page may send to any origin.
SAFELISTED = {"accept", "accept-language", "content-language", "content-type", "range"}
SCHEMES = ("http", "https")
CLOSED_MEANWHILE = (ValueError, AttributeError)  # What http.client raises then.


class UrllibTransport:
    """Sends requests through urllib."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(_CarefulRedirects, _Http, _Https)

    def send(self, request: Request, timeout: float | None) -> Response:
        """Send the request; see ``SyncTransport``."""
        deadline = None if timeout is None else monotonic() + timeout
        theirs = self._open(request, timeout)
        with closing(_Body(theirs)) as body:
            content = body.read_all(timeout, deadline)
        return Response(theirs.status, Headers(theirs.headers.items()), content, theirs.url)

    def open(self, request: Request, timeout: float | None) -> ResponseStream:
        """Send the request; see ``SyncStreamingTransport``."""
        theirs = self._open(request, timeout)
        headers = Headers(theirs.headers.items())
        return ResponseStream(theirs.status, headers, _Body(theirs), url=theirs.url)

    def _open(self, request: Request, timeout: float | None) -> Any:
        if urlsplit(request.url).scheme not in SCHEMES:  # urllib would read files, too.
            raise ValueError("the URL must be absolute, of http or https")
        upload = Upload(request)
        theirs = urllib.request.Request(  # noqa: S310 - see above
            request.url,
            upload.data,  # any iterable of bytes
            {**request.headers, **upload.headers},
            method=request.method,
        )
        theirs.is_sensitive = request.sensitive  # type: ignore[attr-defined]
        try:
            return self._opener.open(theirs, timeout=timeout)
        except urllib.error.HTTPError as response:
            return response  # A response, whatever its status.
        except (OSError, HTTPException) as error:
            raise upload.failure or Unreachable from error


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects as browsers do: a credential never goes to another origin.

    Any other header field may be one, too, such as the key of an API. A browser asks that origin
    whether it wants them; we leave them out.
    """

    def http_error_302(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any
    ) -> Any:
        """Follow a redirect, or return None to hand it to the caller if it leads nowhere."""
        try:
            urlsplit(headers.get("location") or headers.get("uri") or "")
        except ValueError:
            return None
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(  # noqa: PLR0913, PLR0917 - urllib's own signature
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the next request, or None to hand the redirect itself to the caller."""
        if getattr(req, "is_sensitive", False) or origin_of(newurl) is None:
            return None  # Without an origin we could not tell whether the token may follow.
        further = super().redirect_request(req, fp, code, msg, headers, newurl)
        if further is not None and origin_of(newurl) != origin_of(req.full_url):
            for name in {*further.headers, *further.unredirected_hdrs}:
                if name.lower() not in SAFELISTED:
                    further.remove_header(name)
        return further


class _NamesItsSocket(HTTPConnection):
    """Leaves the socket with the response, and reads one that comes before all is sent."""

    def request(self, method: str, url: str, body: Any = None, *args: Any, **options: Any) -> None:
        """Send the request.

        A server that refuses a body may respond and hang up before it has read it (RFC 9112,
        section 9.5): then its response is there to be read.
        """
        try:
            super().request(method, url, body, *args, **options)
        except (BrokenPipeError, ConnectionResetError):
            if self.sock is None or getattr(body, "failure", None) is not None:
                raise

    def getresponse(self) -> HTTPResponse:
        """Return the response."""
        connection = self.sock
        response = super().getresponse()
        response.connection = connection  # type: ignore[attr-defined]
        return response


class _SecurelyNamesItsSocket(_NamesItsSocket, HTTPSConnection):
    """The same for TLS."""


class _Http(urllib.request.HTTPHandler):
    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        return _without_guessed_type(super().http_request(request))

    def do_open(self, http_class: Any, req: urllib.request.Request, **http_conn_args: Any) -> Any:  # noqa: ARG002 - the parent's signature
        return super().do_open(_NamesItsSocket, req, **http_conn_args)


class _Https(urllib.request.HTTPSHandler):
    def https_request(self, request: urllib.request.Request) -> urllib.request.Request:
        return _without_guessed_type(super().https_request(request))

    def do_open(self, http_class: Any, req: urllib.request.Request, **http_conn_args: Any) -> Any:  # noqa: ARG002
        return super().do_open(_SecurelyNamesItsSocket, req, **http_conn_args)


def _without_guessed_type(request: urllib.request.Request) -> urllib.request.Request:
    """Return the request without the type of a form, which urllib adds to any body.

    What it adds itself is apart from the headers that it was given.
    """
    request.unredirected_hdrs.pop("Content-type", None)
    return request


class _Body:
    """The body of a response of urllib."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._socket: socket.socket = response.connection

    def read(self, timeout: float | None) -> bytes:
        """Return the next piece; see ``SyncBody``."""
        try:
            if not self._response.isclosed():
                self._socket.settimeout(timeout)
            piece: bytes = self._response.read1(CHUNK)
        except (OSError, HTTPException, *CLOSED_MEANWHILE) as error:
            raise Unreachable from error
        if not piece and self._response.length:  # read1 reports a lost connection as the end.
            raise Unreachable
        return piece

    def read_all(self, timeout: float | None, deadline: float | None) -> bytes:
        """Return the whole body; the timeout limits each piece, the deadline all of them.

        A body that is complete is used, even if the program stood still until after the deadline.
        """
        pieces = []
        while piece := self.read(timeout):
            pieces.append(piece)
            if self._response.length and deadline is not None and monotonic() > deadline:
                raise Unreachable
        return b"".join(pieces)

    def close(self) -> None:
        """Close the connection.

        A thread that waits in ``read`` holds a lock that ``close`` needs; ``shutdown`` ends its
        wait. It is the plain socket's: a TLS connection's own would forget its state meanwhile.
        """
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        self._response.close()


if TYPE_CHECKING:
    _: type[SyncStreamingTransport] = UrllibTransport
    _body: type[SyncBody] = _Body
