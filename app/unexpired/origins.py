"""Which URL a request really goes to, who may see the token, and where a person may be sent.

Browsers forgive much in a URL (tabs, backslashes, missing slashes), and each forgiveness is a way
to make a check see one host and the network another. So whatever is not plain is refused or
carries no token, and what was checked is what is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qs, quote, unquote, urljoin, urlsplit

_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def origin_of(url: str) -> str | None:
    """Return ``scheme://host[:port]`` of an absolute URL (RFC 6454), or None if it has none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    match = _ORIGIN.fullmatch(f"{parts.scheme}://{parts.netloc}".lower())
    if match is None or _UNSAFE.search(url):
        return None  # Userinfo, odd characters, another scheme: nothing to compare exactly.
    scheme, host, port = match.groups()
    return f"{scheme}://{host}" + (f":{port}" if port and port != _DEFAULT_PORTS[scheme] else "")


def resolve(url: str, *, base_url: str, page_url: str) -> str:
    """Return the URL to send to: absolute as it is, else under the base URL or beside the page.

    Args:
        url: as the caller wrote it.
        base_url: where relative URLs are appended, as httpx does; empty for the page's own.
        page_url: the address of the page, or empty where there is none.

    Raises:
        ValueError: for control characters and backslashes, which browsers read in their own way.
    """
    if _UNSAFE.search(url):
        raise ValueError("a URL must not hold spaces, control characters or backslashes")
    if base_url and not _ABSOLUTE.match(url):
        url = f"{base_url.rstrip('/')}/{url.lstrip('/')}" if url else base_url
    return urljoin(page_url, url)


def allowed_origins(*, base_url: str, page_url: str, further: Iterable[str]) -> frozenset[str]:
    """Return the origins that may see the token: the base URL's, or the page's, and those named.

    Raises:
        ValueError: if a named origin is none, such as one with a path or a wildcard.
    """
    named = {origin.rstrip("/") for origin in further}
    wrong = [origin for origin in named if origin_of(origin) is None or urlsplit(origin).path]
    if wrong:
        raise ValueError(f"not an exact origin: {', '.join(sorted(wrong))}")
    own = origin_of(urljoin(page_url, base_url))
    return frozenset(origin for origin in (*map(origin_of, named), own) if origin)


def sign_in_url(login_url: str, *, here: str, reason: str) -> str:
    """Return the sign-in page's URL with the way back and the reason, in its query.

    A hash route keeps its query behind the hash, where it reloads nothing.
    """
    if is_sign_in(here, login_url):
        here = ""  # Someone who already is at the sign-in page has no place to return to.
    query = "&".join(
        f"{name}={quote(value, safe='')}"
        for name, value in (("next", here), ("reason", reason))
        if value
    )
    return f"{login_url}{'&' if '?' in login_url else '?'}{query}" if query else login_url


def return_path(here: str, *, login_url: str, default: str) -> str:
    """Return the ``next`` address that ``here`` carries if it is safe to follow, else the default.

    Args:
        here: path, query and hash of the sign-in page as it is shown.
        login_url: the sign-in page, never itself a place to return to.
        default: the address for everything that is not plainly inside this origin.
    """
    wanted = parameter(here, "next")
    inside = wanted is not None and is_inside(wanted) and not is_sign_in(wanted, login_url)
    return wanted if wanted is not None and inside else default


def parameter(here: str, name: str) -> str | None:
    """Return one query parameter of an address, from its query or from behind its hash route."""
    path, _, fragment = here.partition("#")
    for query in (fragment.partition("?")[2], path.partition("?")[2]):
        values = parse_qs(query).get(name)
        if values:
            return values[0]
    return None


def is_inside(address: str) -> bool:
    """Whether an address is a plain absolute path (with query and hash) of this origin.

    A guard against open redirects: OWASP's cheat sheet on unvalidated redirects lists the tricks.
    """
    if not address.startswith("/") or address.startswith("//") or _UNSAFE.search(address):
        return False
    # Dot segments, encoded or not, are folded by browsers: `/..//evil` would become `//evil`.
    return not {".", ".."} & set(unquote(urlsplit(address).path).split("/"))


def is_sign_in(address: str, login_url: str) -> bool:
    """Whether an address (path, query, hash) shows the sign-in page."""
    if login_url.startswith("#"):
        fragment = address.partition("#")[2].partition("?")[0]
        return fragment == login_url[1:].partition("?")[0]
    return urlsplit(address).path == urlsplit(login_url).path
