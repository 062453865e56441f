"""Forms that are posted with a client's credentials, within bounds and without redirects."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import cache
from http.client import HTTPResponse
from urllib.parse import quote_plus, urlencode, urlsplit

from unexpired_server.tokens.documents import (
    FETCH_TIMEOUT,
    SOCKET_TIMEOUT,
    NoConnectionError,
    read_bounded,
    shown_url,
)
from unexpired_server.tokens.issuer import is_loopback


@dataclass(frozen=True)
class Form:
    """A request to an endpoint of an authorization server.

    Attributes:
        address: The endpoint's URL, the only one that receives the rest.
        fields: What is sent as ``application/x-www-form-urlencoded``.
        authorization: The header with the client's credentials; empty when the fields have them.
    """

    address: str
    fields: Mapping[str, str] = field(repr=False)
    authorization: str = field(default="", repr=False)


@dataclass(frozen=True)
class FormResponse:
    """The response to a form, whatever its status.

    Attributes:
        status: The status code.
        content: The body.
        headers: The headers.
    """

    status: int
    content: bytes = field(repr=False)
    headers: Message = field(repr=False)


def basic_credentials(client_id: str, client_secret: str) -> str:
    """Return the Authorization header of a client (RFC 6749, section 2.3.1).

    Both parts are form-encoded first, so that a colon in the id cannot be the one between them.
    """
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return f"Basic {b64encode(pair.encode('ascii')).decode('ascii')}"


def post_form(form: Form) -> FormResponse:
    """Post a form with the standard library; blocks the thread.

    Raises:
        WrongDocumentError: The response is too large, or too slow.
        NoConnectionError: The server could not be reached.
        OSError: There is no response.
    """
    headers = {"Authorization": form.authorization} if form.authorization else {}
    body = urlencode(form.fields).encode("ascii")
    return exchange(form.address, body, headers)


def exchange(address: str, body: bytes | None, headers: Mapping[str, str]) -> FormResponse:
    """Send a request with the standard library, a GET where it has no body; blocks the thread.

    Args:
        address: The URL.
        body: What is posted.
        headers: Further headers.

    Raises:
        WrongDocumentError: The response is too large, or too slow.
        NoConnectionError: The server could not be reached.
        OSError: There is no response.
    """
    until = time.monotonic() + FETCH_TIMEOUT
    opener = _opener(is_local=is_loopback(urlsplit(address).hostname or ""))
    request = urllib.request.Request(  # noqa: S310 - the address is https, or of this machine
        address, body, {"Accept": "application/json", **headers}
    )
    try:
        with opener.open(request, timeout=SOCKET_TIMEOUT) as response:
            content = read_bounded(response, address, until)
            return FormResponse(response.status, content, response.headers)
    except urllib.error.URLError as exc:
        shown = shown_url(address)
        raise NoConnectionError(f"{shown}: there is no connection: {exc.reason}") from None


@cache
def _opener(*, is_local: bool) -> urllib.request.OpenerDirector:
    """Return what opens connections; to read the system's certificates takes 20 milliseconds."""
    if is_local:
        # A proxy would read what goes to this machine; https goes through it unread.
        return urllib.request.build_opener(_AnyStatus, urllib.request.ProxyHandler({}))
    https = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    return urllib.request.build_opener(_AnyStatus, https)


class _AnyStatus(urllib.request.HTTPErrorProcessor):
    """Returns each response as it is: also a redirect, which is therefore never followed."""

    def http_response(
        self, request: urllib.request.Request, response: HTTPResponse
    ) -> HTTPResponse:
        """Return the response."""
        del request
        return response

    https_response = http_response
