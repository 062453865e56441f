"""urllib: an opener for code that calls ``urlopen`` and does not know this library.

In a page the same code works: there the client's own transport sends the requests.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from email.message import Message
from http.client import responses
from io import BytesIO
from typing import Any, cast
from urllib.response import addinfourl

from unexpired.content import RequestOptions
from unexpired.messages import Response

FORM = "application/x-www-form-urlencoded"


class SessionOpener(urllib.request.OpenerDirector):
    """An opener that sends within a session.

    ``opener.open`` is ``urllib.request.urlopen``. After ``urllib.request.install_opener(opener)``
    every library that calls ``urlopen`` is part of the session. Only the client's own origins see
    the token.

    Args:
        request: Makes a request within the session: ``Client.request``.
        resolve: Returns the absolute URL for a relative one.
    """

    def __init__(self, request: Callable[..., Response], resolve: Callable[[str], str]) -> None:
        super().__init__()
        self._request = request
        self._resolve = resolve

    def open(self, fullurl: Any, data: Any = None, timeout: Any = None) -> Any:
        """Open a URL or a request, as ``urllib.request.urlopen`` does.

        Raises:
            urllib.error.HTTPError: If the status is 400 or above.
            UnexpiredError: As from ``Client.request``.
        """
        theirs = self._their_request(fullurl, data)
        options: RequestOptions = {"headers": dict(theirs.header_items())}
        if theirs.data is not None:
            options["content"] = cast("bytes | Iterable[bytes]", theirs.data)
        if isinstance(timeout, int | float):  # urllib's default is an object of its own.
            options["timeout"] = timeout
        response = self._request(theirs.get_method(), theirs.full_url, **options)
        return _their_response(response)

    def _their_request(
        self, address: str | urllib.request.Request, data: Any
    ) -> urllib.request.Request:
        if isinstance(address, str):
            resolved = self._resolve(address)
            address = urllib.request.Request(resolved)  # noqa: S310 - the transport checks it
        if data is not None:
            address.data = data
        if address.data is not None and not address.has_header("Content-type"):
            address.add_header("Content-type", FORM)  # urllib's own default
        return address


def _their_response(response: Response) -> addinfourl:
    headers, content = Message(), BytesIO(response.content)
    for name, value in response.headers.items():
        headers[name] = value
    if response.status_code >= 400:  # noqa: PLR2004 - RFC 9110, section 15
        reason = responses.get(response.status_code, "")
        raise urllib.error.HTTPError(response.url, response.status_code, reason, headers, content)
    return addinfourl(content, headers, response.url, response.status_code)
