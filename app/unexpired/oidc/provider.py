"""Which identity provider people sign in at, and as which application."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, get_args

from unexpired.errors import SignInFailed
from unexpired.oidc.metadata import TENANT, Metadata, is_safe, metadata_of
from unexpired.origins import UNSAFE, origin_of

Logout = Literal["oidc", "logout_uri", "returnTo"]

OWN_PARAMETERS = frozenset(
    {
        *("response_type", "response_mode", "client_id", "client_secret", "redirect_uri"),
        *("scope", "state", "nonce", "code", "code_challenge", "code_challenge_method"),
        *("code_verifier", "grant_type", "prompt", "max_age", "login_hint", "audience"),
        *("resource", "dpop_jkt"),
        *("request", "request_uri"),  # RFC 9101: what is in them replaces all others.
    }
)
"""Parameters of the authorization request that only this library sets."""

_PRINTABLE = re.compile(r"[\x20-\x7e]+")  # RFC 6749, appendices A.1 and A.2.
_WORDS = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # Section 3.3.


@dataclass(frozen=True, kw_only=True)
class Provider:
    """An OpenID Connect provider, and this application as it is registered there.

    The application is a public client: it signs in by the authorization code grant with PKCE
    (RFC 7636, S256), as RFC 9700 and RFC 10017 ask.

    Attributes:
        issuer: The provider's name, to the last character (OpenID Connect Discovery, section 4.3):
            an address of https, or of http on this machine. Entra ID's for several tenants has the
            literal text ``{tenantid}``.
        client_id: The application's name at the provider.
        scope: What is asked for. ``offline_access`` asks for a refresh token (OpenID Connect Core,
            section 11); without ``openid`` there is no ID token, so ``user`` stays unknown.
        redirect_uri: Where the provider sends people back to: a path of the page's origin, or an
            address. It is registered at the provider, which compares it to the last character.
        post_logout_redirect_uri: Where the provider sends people after a sign-out; empty: to the
            ``redirect_uri``. None: a sign-out does not visit the provider, whose own session stays.
        audience: The API that the access token is for, where the provider asks in this way (Auth0).
        resource: The same as an absolute URI (RFC 8707).
        prompt: What the provider must ask at each sign-in: ``login``, ``consent``,
            ``select_account`` or ``create``, several separated by spaces.
        max_age: How long ago the person may have signed in at the provider, in seconds.
        dpop: Whether tokens are bound to a key of this device (RFC 9449). The provider must offer
            it.
        silent: Whether an expired session first tries ``prompt=none``, by a redirect that shows
            nothing to a person who is still signed in at the provider.
        parameters: Further parameters of the authorization request.
        discovery_url: Where the provider describes itself; empty: at the issuer.
        metadata: The provider's addresses by their names in RFC 8414, in place of discovery.
        logout: What the provider calls the parameter of a sign-out that says where to go next:
            ``oidc`` for ``post_logout_redirect_uri``, ``logout_uri`` (Cognito) or ``returnTo``
            (Auth0).
        client_secret: For programs whose provider insists on one that is not secret (Google). A
            page must not have one: everybody could read it.
        popup_redirect_uri: Where the provider sends pop-ups back to, on the origin of the page: its
            copy of ``callback.html``; empty: to the ``redirect_uri``.

    Raises:
        ValueError: If a value cannot be right; it names the attribute.
        TypeError: If a further parameter is not a text.
    """

    issuer: str
    client_id: str
    scope: str = "openid profile offline_access"
    redirect_uri: str = "/"
    post_logout_redirect_uri: str | None = ""
    audience: str | None = None
    resource: str | None = None
    prompt: str = ""
    max_age: int | None = None
    dpop: bool = False
    silent: bool = False
    # Not in the repr: one may be a secret.
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    discovery_url: str = ""
    metadata: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)
    logout: Logout = "oidc"
    client_secret: str = field(default="", repr=False)
    popup_redirect_uri: str = ""

    def __post_init__(self) -> None:
        self._check_names()
        self._check_addresses()
        self._check_wishes()
        _check_parameters(self.parameters)
        object.__setattr__(self, "parameters", dict(self.parameters))
        _ = self.known_metadata

    @property
    def name(self) -> str:
        """What its tokens belong to: the issuer and the application there."""
        return f"{self.issuer} {self.client_id}"

    @property
    def known_metadata(self) -> Metadata | None:
        """What is known of the provider without asking it; None if it has to be asked.

        Raises:
            ValueError: If ``metadata`` cannot be right.
        """
        if self.metadata is None:
            return None
        if not isinstance(self.metadata, Mapping):
            _refuse("metadata", "a table of the provider's addresses")
        try:
            return metadata_of({"issuer": self.issuer, **self.metadata}, self.issuer)
        except SignInFailed as error:
            raise ValueError(f"provider: metadata: {' '.join(error.__notes__)}") from None

    def _check_names(self) -> None:
        audience = "" if self.audience is None else self.audience
        texts: dict[str, Any] = {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "audience": audience,
        }
        for name, value in texts.items():
            if not isinstance(value, str) or (value and not _PRINTABLE.fullmatch(value)):
                _refuse(name, "a text of printable ASCII")
        if not self.client_id:
            _refuse("client_id", "the application's name at the provider")
        if self.client_secret and sys.platform == "emscripten":
            _refuse("client_secret", "not for a page, where everybody can read it")

    def _check_addresses(self) -> None:
        if not _is_identifier(self.issuer):
            _refuse("issuer", "an https address without query, fragment and username")
        if self.discovery_url != "" and not _is_address(self.discovery_url):
            _refuse("discovery_url", "an https address")
        if self.discovery_url and self.metadata is not None:
            _refuse("discovery_url", "not needed beside metadata, so give one of them")
        if TENANT in self.issuer and not self.discovery_url and self.metadata is None:
            _refuse("discovery_url", f"needed with an issuer that has {TENANT}")
        if not _is_place(self.redirect_uri):
            _refuse("redirect_uri", "a path that begins with /, or an address, without a fragment")
        if self.popup_redirect_uri != "" and not _is_place(self.popup_redirect_uri):
            _refuse("popup_redirect_uri", "like redirect_uri, or empty")
        after = self.post_logout_redirect_uri
        if after is not None and after != "" and not _is_place(after):
            _refuse("post_logout_redirect_uri", "like redirect_uri, empty or None")
        if self.resource is not None and self.resource != "" and not _is_resource(self.resource):
            _refuse("resource", "an absolute URI without a fragment")

    def _check_wishes(self) -> None:
        if not _are_words(self.scope):
            _refuse("scope", "words separated by single spaces")
        if self.prompt != "" and not _are_words(self.prompt):
            _refuse("prompt", "words separated by single spaces")
        if "none" in self.prompt.split():
            _refuse("prompt", "not none, which silent=True asks for at the right time")
        if self.max_age is not None and not _is_count(self.max_age):
            _refuse("max_age", "seconds, a whole number from 0, or None")
        for name in ("dpop", "silent"):
            if not isinstance(getattr(self, name), bool):
                _refuse(name, "True or False")
        if self.logout not in get_args(Logout):
            _refuse("logout", f"one of: {', '.join(get_args(Logout))}")


def _refuse(name: str, what: str) -> NoReturn:
    raise ValueError(f"provider: {name} is {what}")


def _is_address(value: object) -> bool:
    return isinstance(value, str) and is_safe(value) and "#" not in value


def _is_identifier(value: object) -> bool:
    """Return whether a value can be an issuer (RFC 8414, section 2)."""
    return isinstance(value, str) and is_safe(value) and not {"?", "#"} & {*value}


def _is_place(value: object) -> bool:
    """Return whether a value can be a redirect URI (RFC 6749, section 3.1.2)."""
    if not isinstance(value, str) or UNSAFE.search(value) or "#" in value:
        return False
    return (value.startswith("/") and not value.startswith("//")) or origin_of(value) is not None


def _is_resource(value: object) -> bool:
    """Return whether a value is an absolute URI without a fragment (RFC 8707, section 2)."""
    is_text = isinstance(value, str) and not UNSAFE.search(value) and "#" not in value
    return is_text and re.match(r"[A-Za-z][A-Za-z0-9+.-]*:.", str(value)) is not None


def _are_words(value: object) -> bool:
    return isinstance(value, str) and _WORDS.fullmatch(value) is not None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_parameters(parameters: object) -> None:
    if not isinstance(parameters, Mapping):
        raise TypeError("provider: parameters is a table of texts")
    for name, value in parameters.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError("provider: parameters is a table of texts")
        if not name or name in OWN_PARAMETERS:
            raise ValueError(f"provider: parameters: {name or 'a name'} is set by the library")
