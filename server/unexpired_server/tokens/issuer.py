"""The name of an issuer: a URL that is compared character by character (RFC 8414, section 3.3)."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit


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


def is_loopback(host: str) -> bool:
    """Return whether a host name is of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def near_miss(named: object, issuer: str) -> str:
    """Return a hint for the log where two names differ only in the slash at the end."""
    if isinstance(named, str) and named != issuer and named.rstrip("/") == issuer.rstrip("/"):
        return f"; give issuer={named!r}, exactly as it names itself"
    return ""
