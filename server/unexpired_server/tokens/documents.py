"""Documents at a URL: fetched within bounds of size and time, and without redirects."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit

MAXIMUM_AGE = 300.0
"""Seconds after which a document is fetched again when its response does not say; so long a
retired key still works."""

AGES = (10.0, 3600.0)
"""The bounds, in seconds, of what a response's ``max-age`` or ``Retry-After`` may ask for."""

SOCKET_TIMEOUT = 5.0
FETCH_TIMEOUT = 15.0
MAXIMUM_BYTES = 64 * 1024
CHUNK = 8 * 1024
LONGEST_SHOWN = 200
"""Characters of an address that go into the log."""

MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
NO_CACHE = re.compile(r"(?:^|[\s,])no-(?:cache|store)\b", re.IGNORECASE)


class Readable(Protocol):
    """The body of a response.

    Attributes:
        length: How many bytes are still to come; None where the response does not say.
    """

    length: int | None

    def read1(self, size: int, /) -> bytes:
        """Return what has arrived, and at most so many bytes; none at the end."""
        ...


@dataclass(frozen=True)
class Document:
    """A fetched document.

    Attributes:
        content: The body.
        headers: The response's headers, of which ``Cache-Control`` is used.
    """

    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def fresh_for(self) -> float:
        """For how many seconds it is fresh (RFC 9111, section 4.2.1), within our bounds."""
        named = {name.lower(): value for name, value in self.headers.items()}
        control = named.get("cache-control", "")
        if NO_CACHE.search(control):
            return AGES[0]
        found = MAX_AGE.search(control)
        return bounded(float(found[1])) if found else MAXIMUM_AGE


class RetryLaterError(OSError):
    """The URL asks for a pause.

    Args:
        seconds: How long.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__("the URL asks for a pause")
        self.seconds = seconds


class WrongDocumentError(ValueError):
    """A document that cannot be used; the message is a part of a sentence for the log."""


class FetchError(OSError):
    """No document was received; the message is a part of a sentence for the log."""


class NoConnectionError(FetchError):
    """The server could not be reached."""


def bounded(seconds: float) -> float:
    """Return seconds within the bounds of what a response may ask for."""
    return min(max(seconds, AGES[0]), AGES[1])


def get_document(address: str) -> Document:
    """Fetch a document with the standard library; blocks the thread.

    Raises:
        WrongDocumentError: The document is too large, or too slow.
        OSError: There is no good response, or the URL is not http or https.
    """
    if not address.startswith(("https://", "http://")):
        raise FetchError("the URL must be http or https")
    opener, until = urllib.request.build_opener(NoRedirect), time.monotonic() + FETCH_TIMEOUT
    try:
        with opener.open(address, timeout=SOCKET_TIMEOUT) as response:
            return Document(read_bounded(response, address, until), dict(response.headers))
    except urllib.error.HTTPError as exc:
        raise _refusal(exc, shown_url(address)) from None
    except urllib.error.URLError as exc:
        raise NoConnectionError(
            f"{shown_url(address)}: there is no connection: {exc.reason}"
        ) from None


def read_bounded(response: Readable, address: str, until: float) -> bytes:
    """Return the body of a response within the bounds of size and time.

    Args:
        response: The response, which is open.
        address: Its URL, for the message.
        until: When it must be complete, by the monotonic clock.

    Raises:
        WrongDocumentError: It is too large, or too slow.
        OSError: It ended early, or the connection failed.
    """
    content = b""
    while chunk := response.read1(CHUNK):
        content += chunk
        if len(content) > MAXIMUM_BYTES or time.monotonic() > until:
            raise WrongDocumentError(
                f"the document at {shown_url(address)} is too large or too slow"
            )
    if response.length:  # `read1` does not mind.
        raise FetchError(f"{shown_url(address)}: the response ended early")
    return content


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: the keys of another address are another issuer's."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Follow none, so that the response is an error."""


def shown_url(address: str) -> str:
    """Return an address for the log, without what may be a secret in it."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"[:LONGEST_SHOWN]


def retry_after(headers: Message) -> float | None:
    """Return the seconds in ``Retry-After`` (RFC 9110, section 10.2.3); None without any."""
    seconds = headers.get("Retry-After", "").strip()
    is_number = seconds.isascii() and seconds.isdecimal() and len(seconds) < 10  # noqa: PLR2004
    return float(seconds) if is_number else None


def _refusal(exc: urllib.error.HTTPError, shown: str) -> OSError:
    asks = exc.code in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
    seconds = retry_after(exc.headers) if asks else None
    exc.close()
    if seconds is not None:
        return RetryLaterError(seconds)
    return FetchError(f"{shown}: the response has status {exc.code}")
