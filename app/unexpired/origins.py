"""Which URL a request goes to, and which origins may see the token.

Browsers accept much in a URL (tabs, backslashes, missing slashes), and each of these can make a
check see one host and the network another. So an unusual URL is refused or carries no token, and
the URL that was checked is the one that is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import SplitResult, urljoin, urlsplit

DEFAULT_STORAGE_KEY = "unexpired"

UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
"""Characters that browsers drop or replace in a URL."""

_ORIGIN = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
_BASE_URL = re.compile(r"(?:https?:)?//[^/?#]|/(?!/)|\.", re.IGNORECASE)
_DEFAULT_PORTS = {"http": "80", "https": "443"}

# A page calls the same few addresses again and again, and each call needs both answers, a tenth of
# what it costs. (urllib keeps texts that it has split as well.)
_CACHED = 256


@lru_cache(maxsize=_CACHED)
def origin_of(url: str) -> str | None:
    """Return ``scheme://host[:port]`` of an absolute URL (RFC 6454), or None if it has none."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # Raises for a port that does not exist.
    except ValueError:
        return None
    match = _ORIGIN.fullmatch(f"{parts.scheme}://{parts.netloc}".lower())
    if match is None or UNSAFE.search(url):
        return None  # Userinfo, unusual characters, another scheme: it cannot be compared exactly.
    scheme, host, port = match.groups()
    return f"{scheme}://{host}" + (f":{port}" if port and port != _DEFAULT_PORTS[scheme] else "")


def may_be_same_site(one: str, other: str) -> bool:
    """Return whether two hosts may be of one site, which shares ``SameSite`` cookies.

    Args:
        one: A host name or an address.
        other: Another one.
    """
    if one == other:
        return True
    last, others = (host.rsplit(".", 2)[-2:] for host in (one, other))
    return len(last) > 1 and last == others and not last[-1].isdigit() and ":" not in one


@lru_cache(maxsize=_CACHED)
def resolve(url: str, *, base_url: str, page_url: str) -> str:
    """Return the absolute URL; a relative one is appended to the base URL or joined to the page's.

    Args:
        url: The URL as the caller wrote it.
        base_url: The URL that relative ones are appended to, as in httpx; empty for the page's.
        page_url: The address of the page, or empty if there is none.

    Raises:
        ValueError: If the URL has characters that browsers drop or replace, or a username, or no
            host: browsers refuse to send such a request.
    """
    if UNSAFE.search(url):
        raise ValueError("a URL must not hold spaces, control characters or backslashes")
    if base_url and not _ABSOLUTE.match(url):
        url = f"{base_url.rstrip('/')}/{url.lstrip('/')}" if url else base_url
    absolute = urljoin(page_url, url)
    parts = urlsplit(absolute)
    if parts.scheme in _DEFAULT_PORTS and not _has_host(parts):
        raise ValueError("a URL has a host and a port that exist, and no username or password")
    return absolute


def _has_host(parts: SplitResult) -> bool:
    try:
        _ = parts.port  # Raises for a port that does not exist.
    except ValueError:
        return False
    return bool(parts.hostname) and "@" not in parts.netloc


def api_of(*, base_url: str, page_url: str) -> str:
    """Return the API that a client calls: the origin and the path of its base URL.

    Without a base URL it is the page's origin; empty if there is no page either.

    Raises:
        TypeError: If the base URL is not a text.
        ValueError: If the base URL is neither absolute, of http or https, nor a path of the page's.
    """
    if not isinstance(base_url, str):
        raise TypeError("base_url is a text")
    url = urljoin(page_url, base_url)
    origin = origin_of(url)
    if base_url and (UNSAFE.search(base_url) or not _BASE_URL.match(base_url)):
        raise ValueError("base_url is an address with its scheme, such as https://api.example")
    if base_url and origin is None and (page_url or _ABSOLUTE.match(base_url)):
        raise ValueError("base_url is scheme, host and port in ASCII, without a username")
    return (origin or "") + (urlsplit(url).path.rstrip("/") if base_url else "")


def storage_key_of(*, base_url: str, page_url: str) -> str:
    """Return the default name to store a session under.

    Another API than that of the page's origin has a name of its own: two clients of one page do
    not take each other's tokens.
    """
    api = api_of(base_url=base_url, page_url=page_url)
    is_own = not base_url or not page_url or api == origin_of(page_url)
    return DEFAULT_STORAGE_KEY if is_own else f"{DEFAULT_STORAGE_KEY}:{api}"


def allowed_origins(*, base_url: str, page_url: str, further: Iterable[str]) -> frozenset[str]:
    """Return the origins that may see the token: the base URL's, or the page's, and those named.

    Raises:
        ValueError: If a named origin is not an exact one: it has a path or a wildcard.
    """
    named = {origin.rstrip("/") for origin in further}
    wrong = [origin for origin in named if origin_of(origin) is None or urlsplit(origin).path]
    if wrong:
        raise ValueError(f"not an exact origin: {', '.join(sorted(wrong))}")
    own = origin_of(urljoin(page_url, base_url))
    return frozenset(origin for origin in (*map(origin_of, named), own) if origin)
