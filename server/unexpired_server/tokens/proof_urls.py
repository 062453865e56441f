"""URLs as the proofs of a key name them, in one form for all spellings (RFC 9449, section 4.2)."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address
from urllib.parse import quote

URL = re.compile(
    r"(?P<scheme>https?|wss?)://"
    r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._~-]+))(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>/[!-~]*)?",
    re.IGNORECASE,
)
"""An absolute URL in ASCII. It can have no user and no space; query and fragment are refused below,
as a proof names neither."""

SCHEMES = {"ws": "http", "wss": "https"}
"""A WebSocket begins as a request (RFC 6455, section 4.1), and some clients name it by that."""

DEFAULT_PORTS = {"http": 80, "https": 443}
NOT_IN_PATHS = frozenset("?#\\")
ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
UNESCAPED = re.compile(r"%(?![0-9A-F]{2})|[^A-Za-z0-9._~!$&'()*+,;=:@/%-]")
"""What a path holds only in percent-encoding (RFC 3986, section 3.3)."""

UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")

MAXIMUM_LENGTH = 4096
"""Of a URL, in characters; no proof can hold a longer one."""

CACHE_SIZE = 1000
"""How many URLs are cached: a few are used again and again, and each costs 20 microseconds. Anybody
can fill it by Host headers, with at most 16 MB."""


@lru_cache(CACHE_SIZE)
def normal_url(text: str) -> str:
    """Return a URL in its normal form (RFC 3986, sections 6.2.2 and 6.2.3).

    Scheme and host are in lower case, IPv6 is in its shortest form, a default port is left out, an
    empty path is a slash, and only what must be is percent-encoded. Another path is another URL,
    also where it differs only in a slash at the end.

    Raises:
        ValueError: It is no URL that a proof may name.
    """
    found = URL.fullmatch(text) if len(text) <= MAXIMUM_LENGTH else None
    if found is None:
        raise ValueError("not an absolute URL of HTTP")
    scheme = found["scheme"].lower()
    scheme = SCHEMES.get(scheme, scheme)
    host = f"[{IPv6Address(found['address'])}]" if found["address"] else found["name"].lower()
    port = int(found["port"]) if found["port"] else DEFAULT_PORTS[scheme]
    suffix = "" if port == DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{host}{suffix}{normal_path(found['path'] or '/')}"


def normal_path(path: str) -> str:
    """Return a path in its normal form.

    Raises:
        ValueError: It has a query, a fragment or a backslash.
    """
    if NOT_IN_PATHS & set(path):
        raise ValueError("not a path")
    return UNESCAPED.sub(_quoted, ESCAPE.sub(_unescaped, path))


def _unescaped(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if UNRESERVED.fullmatch(character) else escape[0].upper()


def _quoted(character: re.Match[str]) -> str:
    return quote(character[0], safe="")
