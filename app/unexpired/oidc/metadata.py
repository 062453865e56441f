"""What a provider says of itself: OpenID Connect Discovery 1.0, section 3, and RFC 8414.

Its document is fetched over TLS from the issuer, but it is text from outside all the same: one that
names another issuer, or an address that a page must not follow, is refused whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

from unexpired.errors import SignInFailed
from unexpired.origins import origin_of

WELL_KNOWN = "/.well-known/openid-configuration"
TENANT = "{tenantid}"
"""Stands in Entra ID's issuer for the tenant that the person belongs to."""

TENANT_ID = re.compile(r"[A-Za-z0-9-]{1,64}")

_REQUIRED = ("authorization_endpoint", "token_endpoint")
_OPTIONAL = (
    *("revocation_endpoint", "end_session_endpoint", "userinfo_endpoint"),
    "device_authorization_endpoint",
)
_DEFAULT_ALGORITHMS = frozenset({"RS256"})  # OpenID Connect Core, section 2.


@dataclass(frozen=True)
class Metadata:
    """The addresses and abilities of a provider that a sign-in needs.

    Attributes:
        issuer: The provider's name, which its tokens and its answers repeat.
        authorization_endpoint: Where people sign in.
        token_endpoint: Where a code, and later a refresh token, is exchanged for tokens.
        revocation_endpoint: Where a refresh token is revoked (RFC 7009); empty: nowhere.
        end_session_endpoint: Where people sign out at the provider; empty: nowhere.
        userinfo_endpoint: Where more is known of the person; empty: nowhere.
        device_authorization_endpoint: Where a device grant begins (RFC 8628); empty: nowhere.
        sends_iss: Whether each answer names its issuer (RFC 9207, section 3).
        algorithms: The algorithms that may sign ID tokens, all of them asymmetric.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str = ""
    end_session_endpoint: str = ""
    userinfo_endpoint: str = ""
    device_authorization_endpoint: str = ""
    sends_iss: bool = False
    algorithms: frozenset[str] = _DEFAULT_ALGORITHMS


def discovery_url_of(issuer: str) -> str:
    """Return where an issuer describes itself (OpenID Connect Discovery, section 4.1)."""
    return issuer.removesuffix("/") + WELL_KNOWN


def metadata_of(document: Mapping[str, Any], issuer: str) -> Metadata:
    """Return the metadata in a provider's document.

    Args:
        document: The JSON object that the provider sent.
        issuer: The issuer that was asked for.

    Raises:
        SignInFailed: With ``PROVIDER_MISMATCH``, if the document is of another issuer (Discovery,
            section 4.3: equal to the last character), or has an address that is not to be used.
    """
    if document.get("issuer") != issuer:
        refuse("issuer", "is not the one that was asked for, to the last character")
    methods = document.get("code_challenge_methods_supported")
    if isinstance(methods, list) and "S256" not in methods:
        refuse("code_challenge_methods_supported", "lacks S256 (RFC 7636), which we always use")
    endpoints = {name: _endpoint(document, name, issuer) for name in (*_REQUIRED, *_OPTIONAL)}
    for name in _REQUIRED:
        if not endpoints[name]:
            refuse(name, "is missing")
    return Metadata(
        issuer=issuer,
        **endpoints,
        sends_iss=document.get("authorization_response_iss_parameter_supported") is True,
        algorithms=_algorithms(document.get("id_token_signing_alg_values_supported")),
    )


def _endpoint(document: Mapping[str, Any], name: str, issuer: str) -> str:
    """Return an endpoint, or an empty text if there is none.

    A page follows these addresses, so one such as ``javascript:…`` would run the provider's code.
    """
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not is_safe(value) or "#" in value:
        refuse(name, "is not an https address without a username and a fragment")
    if is_loopback(value) and not is_loopback(issuer):
        refuse(name, "is on this machine, which the issuer is not")
    return value


def _algorithms(value: object) -> frozenset[str]:
    """Return the algorithms that are usable here.

    With ``none`` nobody signs, and with HS256 everyone who knows the client's secret does, which a
    page would have to hold.
    """
    if not isinstance(value, list):
        return _DEFAULT_ALGORITHMS
    named = (one for one in value if isinstance(one, str))
    return frozenset(one for one in named if one.lower() != "none" and one[:2].upper() != "HS")


def is_safe(url: str) -> bool:
    """Return whether an address is https, or http on this machine, without a username."""
    return origin_of(url) is not None and (urlsplit(url).scheme == "https" or is_loopback(url))


def is_loopback(url: str) -> bool:
    """Return whether an address is on this machine (RFC 8252, section 8.3)."""
    return urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}


def refuse(field: str, complaint: str) -> NoReturn:
    """Refuse what a provider said; the note names the field, never its value.

    Raises:
        SignInFailed: With ``PROVIDER_MISMATCH``.
    """
    raise SignInFailed("PROVIDER_MISMATCH", f"The provider's {field} {complaint}.")
