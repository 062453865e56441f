"""urllib: as the transport of ``Client``, and as an opener for code that knows nothing of us.

In a page the same code works through pyodide-http, which the page applies.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable
from email.message import Message
from http.client import HTTPException, responses
from io import BytesIO
from time import monotonic
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit
from urllib.response import addinfourl

from unexpired.content import read_body
from unexpired.errors import Unreachable
from unexpired.messages import Headers, Request, Response
from unexpired.origins import origin_of

if TYPE_CHECKING:
    from unexpired.ports import SyncTransport
    from unexpired.session_manager import RequestOptions
    from unexpired.sync_client import Client

CHUNK = 65_536  # bytes
FORM = "application/x-www-form-urlencoded"
SCHEMES = ("http", "https")


class UrllibTransport:
    """Sends requests through urllib."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(_CarefulRedirects)

    def send(self, request: Request, timeout: float | None) -> Response:
        """Send the request; see ``SyncTransport``."""
        deadline = None if timeout is None else monotonic() + timeout
        try:
            with self._open(request, timeout) as reply:
                headers = Headers(reply.headers.items())
                return Response(reply.status, headers, _read(reply, deadline), reply.url)
        except (OSError, HTTPException) as error:
            raise Unreachable from error

    def _open(self, request: Request, timeout: float | None) -> Any:
        if urlsplit(request.url).scheme not in SCHEMES:  # urllib would read files, too.
            raise ValueError("the URL must be absolute, of http or https")
        theirs = urllib.request.Request(  # noqa: S310 - see above
            request.url, read_body(request.body), dict(request.headers), method=request.method
        )
        theirs.is_sensitive = request.sensitive  # type: ignore[attr-defined]
        try:
            return self._opener.open(theirs, timeout=timeout)
        except urllib.error.HTTPError as reply:
            return reply  # An answer, whatever its status.


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects as browsers do: a credential never goes to another origin."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - urllib's own signature
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the next request, or None to take the redirect itself for the answer."""
        if getattr(req, "is_sensitive", False) or origin_of(newurl) is None:
            return None  # None: of no scheme or form that a token could be kept apart by.
        further = super().redirect_request(req, fp, code, msg, headers, newurl)
        if further is not None and origin_of(newurl) != origin_of(req.full_url):
            further.remove_header("Authorization")
        return further


def _read(reply: Any, deadline: float | None) -> bytes:
    """Read it all: each piece within the socket's timeout, the whole by the deadline."""
    pieces = []
    while piece := reply.read1(CHUNK):
        pieces.append(piece)
        if deadline is not None and monotonic() > deadline:
            raise Unreachable
    if reply.length:  # read1 takes a lost connection for the end.
        raise Unreachable
    return b"".join(pieces)


class SessionOpener(urllib.request.OpenerDirector):
    """An opener that sends within a client's session.

    ``opener.open`` is ``urllib.request.urlopen``; ``urllib.request.install_opener(opener)`` makes
    every library that calls ``urlopen`` part of the session. Tokens go to the client's origins
    alone.

    Args:
        client: whose session.
    """

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def open(self, fullurl: Any, data: Any = None, timeout: Any = None) -> Any:
        """Open a URL or a request, as ``urllib.request.urlopen`` does.

        Raises:
            urllib.error.HTTPError: for a reply of 400 or above.
            UnexpiredError: what ``Client.request`` raises.
        """
        theirs = self._request(fullurl, data)
        options: RequestOptions = {"headers": dict(theirs.header_items())}
        if theirs.data is not None:
            options["content"] = cast("bytes | Iterable[bytes]", theirs.data)
        if isinstance(timeout, int | float):  # urllib's default is an object of its own.
            options["timeout"] = timeout
        response = self._client.request(theirs.get_method(), theirs.full_url, **options)
        return _as_reply(response)

    def _request(self, address: str | urllib.request.Request, data: Any) -> urllib.request.Request:
        if isinstance(address, str):
            resolved = self._client._manager.options.resolve(address)
            address = urllib.request.Request(resolved)  # noqa: S310 - the transport looks at it
        if data is not None:
            address.data = data
        if address.data is not None and not address.has_header("Content-type"):
            address.add_header("Content-type", FORM)  # urllib's own default
        return address


def _as_reply(response: Response) -> addinfourl:
    headers, content = Message(), BytesIO(response.content)
    for name, value in response.headers.items():
        headers[name] = value
    if response.status_code >= 400:  # noqa: PLR2004 - RFC 9110, section 15
        reason = responses.get(response.status_code, "")
        raise urllib.error.HTTPError(response.url, response.status_code, reason, headers, content)
    return addinfourl(content, headers, response.url, response.status_code)


if TYPE_CHECKING:
    _: type[SyncTransport] = UrllibTransport
