"""urllib as a transport."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from unexpired.content import read_body
from unexpired.errors import Unreachable
from unexpired.messages import Headers, Request, Response
from unexpired.origins import origin_of

if TYPE_CHECKING:
    from unexpired.ports import SyncTransport

CHUNK = 65_536  # bytes
SCHEMES = ("http", "https")


class UrllibTransport:
    """Sends requests through urllib."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(_CarefulRedirects)

    def send(self, request: Request, timeout: float | None) -> Response:
        """Send the request; see ``SyncTransport``."""
        deadline = None if timeout is None else monotonic() + timeout
        try:
            with self._open(request, timeout) as theirs:
                headers = Headers(theirs.headers.items())
                return Response(theirs.status, headers, _read(theirs, deadline), theirs.url)
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
        except urllib.error.HTTPError as response:
            return response  # A response, whatever its status.


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects as browsers do: a credential never goes to another origin."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - urllib's own signature
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the next request, or None to hand the redirect itself to the caller."""
        if getattr(req, "is_sensitive", False) or origin_of(newurl) is None:
            return None  # Without an origin we could not tell whether the token may follow.
        further = super().redirect_request(req, fp, code, msg, headers, newurl)
        if further is not None and origin_of(newurl) != origin_of(req.full_url):
            further.remove_header("Authorization")
        return further


def _read(response: Any, deadline: float | None) -> bytes:
    """Return the body; urllib's timeout limits each piece, the deadline all of them.

    A body that is complete is used, even if the program stood still until after the deadline.
    """
    pieces = []
    while piece := response.read1(CHUNK):
        pieces.append(piece)
        if response.length and deadline is not None and monotonic() > deadline:
            raise Unreachable
    if response.length:  # read1 reports a lost connection as the end.
        raise Unreachable
    return b"".join(pieces)


if TYPE_CHECKING:
    _: type[SyncTransport] = UrllibTransport
