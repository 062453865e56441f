"""The name of an issuer: a URL that is compared character by character (RFC 8414, section 3.3)."""

from __future__ import annotations

import ipaddress
import logging
from urllib.parse import SplitResult, urlsplit

LONGEST_URL = 2000
"""In characters."""

logger: logging.Logger = logging.getLogger("unexpired.server")


def issuer_parts(issuer: str) -> SplitResult:
    """Return the parts of the URL at which an issuer describes itself.

    Raises:
        ValueError: It is not an https URL, or http on loopback, or it has more than a path.
    """
    parts = urlsplit(issuer)
    is_local = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if not parts.hostname or not (parts.scheme == "https" or is_local):
        raise ValueError(
            f"issuer={issuer!r} must be an https URL, at which the issuer describes itself. Where "
            "it does not, give the address of its keys."
        )
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"issuer={issuer!r} must have no query, fragment or user.")
    return parts


def is_allowed_url(url: str, *, may_be_local: bool) -> bool:
    """Return whether requests may go to a URL: over https, or to this machine.

    Args:
        url: The URL.
        may_be_local: Whether it may be http on loopback.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if len(url) > LONGEST_URL or not parts.hostname or "@" in parts.netloc:
        return False
    is_local = may_be_local and parts.scheme == "http" and is_loopback(parts.hostname)
    return parts.scheme == "https" or is_local


def is_loopback(host: str) -> bool:
    """Return whether a host name is of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ExpectedIssuer:
    """The issuer whose tokens are accepted.

    Args:
        name: Its exact name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._has_hinted = False

    def is_named(self, named: object) -> bool:
        """Return whether a token names it; log once where only the slash at the end differs."""
        if named == self._name:
            return True
        if not self._has_hinted and (hint := near_miss(named, self._name)):
            self._has_hinted = True
            logger.warning("refusing the tokens of the issuer %r%s", named, hint)
        return False


def near_miss(named: object, issuer: str) -> str:
    """Return a hint for the log where two names differ only in the slash at the end."""
    if isinstance(named, str) and named != issuer and named.rstrip("/") == issuer.rstrip("/"):
        return f"; give issuer={named!r}, exactly as it names itself"
    return ""
