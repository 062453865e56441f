"""Providers whose public documentation says what differs from the standard.

Each function names its source, and takes any further attribute of ``Provider`` by its name. At the
provider, register the application as a public client, with its redirect URI.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from unexpired.oidc.metadata import TENANT, discovery_url_of
from unexpired.oidc.provider import Provider

_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_USER_POOL = re.compile(r"([a-z]+(?:-[a-z0-9]+)+)_[A-Za-z0-9]+")

# Each of them without a scope that asks for a refresh token, which comes by itself.
_WITHOUT_OFFLINE_ACCESS = "openid profile"

_MICROSOFT = "https://login.microsoftonline.com"
_CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"


def entra(tenant: str, client_id: str, **further: Any) -> Provider:
    """Return Microsoft Entra ID.

    Register the redirect URI of a page with the type ``spa``: others have no CORS. Refresh tokens
    of a page live 24 hours, over all rotations; there is no revocation. For an API of your own, add
    its scope to ``scope``, such as ``openid profile offline_access api://notes/read``: without one
    the access token is for Microsoft Graph, and no other API can verify it.

    Sources: https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc,
    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow and
    https://learn.microsoft.com/entra/identity-platform/refresh-tokens

    Args:
        tenant: The tenant's ID (its GUID: tokens name no domain), or ``consumers``; ``common`` or
            ``organizations`` let people of any tenant sign in, so the API must check their ``tid``.
        client_id: The application (client) ID.
        **further: Further attributes of ``Provider``.

    Raises:
        ValueError: If the tenant is none of these.
    """
    if tenant in {"common", "organizations"}:
        asked = {"discovery_url": discovery_url_of(f"{_MICROSOFT}/{tenant}/v2.0")}
        return _provider(f"{_MICROSOFT}/{TENANT}/v2.0", client_id, asked, further)
    tenant = _CONSUMERS if tenant == "consumers" else tenant
    if not _GUID.fullmatch(tenant):
        raise ValueError("entra: tenant is a GUID, consumers, organizations or common")
    return _provider(f"{_MICROSOFT}/{tenant.lower()}/v2.0", client_id, {}, further)


def auth0(domain: str, client_id: str, audience: str = "", **further: Any) -> Provider:
    """Return Auth0.

    In its settings, list the page under *Allowed Callback URLs*, *Allowed Logout URLs* and *Allowed
    Web Origins*, switch *Refresh Token Rotation* on, and *Allow Offline Access* in the API. In
    tenants from before 14 November 2023, switch *RP-Initiated Logout End Session Endpoint
    Discovery* on.

    Sources: https://auth0.com/docs/get-started/authentication-and-authorization-flow,
    https://auth0.com/docs/secure/tokens/refresh-tokens/configure-refresh-token-rotation and
    https://auth0.com/docs/authenticate/login/logout/log-users-out-of-auth0

    Args:
        domain: The tenant's domain, such as ``notes.eu.auth0.com``, or your own.
        client_id: The application's client ID.
        audience: The API's identifier. Without one the access token is for ``userinfo`` only, and
            no API can verify it.
        **further: Further attributes of ``Provider``.

    Raises:
        ValueError: If the domain is not a host.
    """
    return _provider(
        f"https://{_host('auth0', domain)}/", client_id, {"audience": audience}, further
    )


def cognito(user_pool_id: str, domain: str, client_id: str, **further: Any) -> Provider:
    """Return a user pool of Amazon Cognito with its managed login.

    A refresh token comes with each sign-in, without ``offline_access``, which Cognito does not
    know. In the app client, list the page under the callback URLs and the sign-out URLs, and switch
    the rotation of refresh tokens and their revocation on. Its sign-out has parameters of its own.

    Sources: https://docs.aws.amazon.com/cognito/latest/developerguide/federation-endpoints.html,
    https://docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html and
    https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html

    Args:
        user_pool_id: The pool's ID, which begins with its region: ``eu-central-1_Ab12Cd34E``.
        domain: The pool's domain, such as ``notes.auth.eu-central-1.amazoncognito.com``.
        client_id: The app client's ID; it has no client secret.
        **further: Further attributes of ``Provider``.

    Raises:
        ValueError: If the ID or the domain is not one.
    """
    pool = _USER_POOL.fullmatch(user_pool_id)
    if pool is None:
        raise ValueError("cognito: user_pool_id is like eu-central-1_Ab12Cd34E")
    at = f"https://{_host('cognito', domain)}"
    known = {
        "authorization_endpoint": f"{at}/oauth2/authorize",
        "token_endpoint": f"{at}/oauth2/token",
        "revocation_endpoint": f"{at}/oauth2/revoke",
        "userinfo_endpoint": f"{at}/oauth2/userInfo",
        "end_session_endpoint": f"{at}/logout",
    }
    own = {"scope": _WITHOUT_OFFLINE_ACCESS, "logout": "logout_uri", "metadata": known}
    issuer = f"https://cognito-idp.{pool[1]}.amazonaws.com/{user_pool_id}"
    return _provider(issuer, client_id, own, further)


def keycloak(url: str, realm: str, client_id: str, **further: Any) -> Provider:
    """Return a realm of Keycloak.

    Switch the client's *Client authentication* off, and list the page under *Valid redirect URIs*,
    *Valid post logout redirect URIs* and *Web origins*. The refresh token lives as long as the
    person's session at Keycloak; ``offline_access`` would ask for one that outlives it and never
    expires by default. ``dpop=True`` works from Keycloak 26.4 on.

    Sources: https://www.keycloak.org/securing-apps/oidc-layers,
    https://www.keycloak.org/securing-apps/dpop and
    https://www.keycloak.org/docs/latest/server_admin/#_offline-access

    Args:
        url: Where Keycloak is, such as ``https://login.example.com``.
        realm: The realm's name.
        client_id: The client's ID.
        **further: Further attributes of ``Provider``.
    """
    issuer = f"{url.removesuffix('/')}/realms/{quote(realm, safe='')}"
    return _provider(issuer, client_id, {"scope": _WITHOUT_OFFLINE_ACCESS}, further)


def okta(
    domain: str, client_id: str, authorization_server: str = "default", **further: Any
) -> Provider:
    """Return Okta.

    Allow the grant type *Refresh Token* in the application (a single-page app then rotates), and
    list the page under *Trusted Origins* for CORS and redirects.

    Sources: https://developer.okta.com/docs/concepts/auth-servers/,
    https://developer.okta.com/docs/guides/refresh-tokens/main/ and
    https://developer.okta.com/docs/api/resources/trusted-origins/

    Args:
        domain: The organisation's domain, such as ``notes.okta.com``.
        client_id: The application's client ID.
        authorization_server: The custom authorization server; empty: the organisation's own, whose
            access tokens are for Okta only.
        **further: Further attributes of ``Provider``.

    Raises:
        ValueError: If the domain is not a host.
    """
    path = f"/oauth2/{quote(authorization_server, safe='')}" if authorization_server else ""
    return _provider(f"https://{_host('okta', domain)}{path}", client_id, {}, further)


def google(client_id: str, client_secret: str, **further: Any) -> Provider:
    """Return Google, for programs: a page cannot sign in, because Google wants a secret of it.

    Register a client of the type *Desktop app*. Google always gives such a program a refresh token,
    calls its client secret not confidential, and has no sign-out to visit.

    Sources: https://developers.google.com/identity/protocols/oauth2/native-app and
    https://developers.google.com/identity/openid-connect/reference

    Args:
        client_id: The client's ID.
        client_secret: The client's secret.
        **further: Further attributes of ``Provider``.

    Raises:
        ValueError: If there is no secret, or in a page.
    """
    if not client_secret:
        raise ValueError("google: client_secret is needed, also for a desktop app")
    own = {
        "scope": _WITHOUT_OFFLINE_ACCESS,
        "post_logout_redirect_uri": None,
        "client_secret": client_secret,
    }
    return _provider("https://accounts.google.com", client_id, own, further)


def _provider(
    issuer: str, client_id: str, own: dict[str, Any], further: dict[str, Any]
) -> Provider:
    return Provider(issuer=issuer, client_id=client_id, **{**own, **further})


def _host(preset: str, domain: str) -> str:
    if not _HOST.fullmatch(domain):
        raise ValueError(f"{preset}: domain is a host, such as notes.example.com")
    return domain.lower()
