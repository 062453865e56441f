"""Ready providers, each against a fake that says what the provider's documentation says."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.library.conftest import NOW
from tests.library.test_oidc_id_token import CLAIMS, HEADER, encoded
from unexpired import SignInFailed
from unexpired.oidc import Provider, presets
from unexpired.oidc.authorization import Asked, authorization_url, new_pending
from unexpired.oidc.id_token import checked_claims
from unexpired.oidc.metadata import Metadata, discovery_url_of, metadata_of

TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
MICROSOFT = "https://login.microsoftonline.com"
PAGE = "https://app.example/"


def entra_document(tenant: str, issuer: str) -> dict[str, Any]:
    """Return what Entra ID says of a tenant; it names no method for challenges."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{MICROSOFT}/{tenant}/oauth2/v2.0/authorize",
        "token_endpoint": f"{MICROSOFT}/{tenant}/oauth2/v2.0/token",
        "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
        "end_session_endpoint": f"{MICROSOFT}/{tenant}/oauth2/v2.0/logout",
        "id_token_signing_alg_values_supported": ["RS256"],
    }


def document(issuer: str, **names: str) -> dict[str, Any]:
    at = issuer.rstrip("/")
    endpoints = {f"{name}_endpoint": f"{at}{path}" for name, path in names.items()}
    return {"issuer": issuer, "code_challenge_methods_supported": ["S256"], **endpoints}


AUTH0 = "https://notes.eu.auth0.com/"
KEYCLOAK = "https://login.example.com/realms/my%20realm"
OKTA = "https://notes.okta.com/oauth2/default"
GOOGLE = "https://accounts.google.com"
V1 = {"authorization": "/v1/authorize", "token": "/v1/token", "end_session": "/v1/logout"}

DISCOVERED: list[tuple[Provider, str, dict[str, Any]]] = [
    (
        presets.entra(TENANT.upper(), "notes"),
        f"{MICROSOFT}/{TENANT}/v2.0/.well-known/openid-configuration",
        entra_document(TENANT, f"{MICROSOFT}/{TENANT}/v2.0"),
    ),
    (
        presets.entra("consumers", "notes"),
        f"{MICROSOFT}/{CONSUMERS}/v2.0/.well-known/openid-configuration",
        entra_document("consumers", f"{MICROSOFT}/{CONSUMERS}/v2.0"),
    ),
    *(
        (
            presets.entra(tenant, "notes"),
            f"{MICROSOFT}/{tenant}/v2.0/.well-known/openid-configuration",
            entra_document(tenant, f"{MICROSOFT}/{{tenantid}}/v2.0"),
        )
        for tenant in ("common", "organizations")
    ),
    (
        presets.auth0("notes.eu.auth0.com", "notes", "https://api.example.com"),
        f"{AUTH0}.well-known/openid-configuration",
        document(
            AUTH0, authorization="/authorize", token="/oauth/token", end_session="/oidc/logout"
        ),
    ),
    (
        presets.keycloak("https://login.example.com/", "my realm", "notes"),
        f"{KEYCLOAK}/.well-known/openid-configuration",
        document(
            KEYCLOAK,
            authorization="/protocol/openid-connect/auth",
            token="/protocol/openid-connect/token",
            end_session="/protocol/openid-connect/logout",
        ),
    ),
    (
        presets.okta("notes.okta.com", "notes"),
        f"{OKTA}/.well-known/openid-configuration",
        document(OKTA, **V1),
    ),
    (
        presets.okta("notes.okta.com", "notes", ""),
        "https://notes.okta.com/.well-known/openid-configuration",
        document("https://notes.okta.com", **{n: f"/oauth2{path}" for n, path in V1.items()}),
    ),
    (
        presets.google("notes", "not secret"),
        f"{GOOGLE}/.well-known/openid-configuration",
        {
            **document(GOOGLE, authorization="/o/oauth2/v2/auth"),
            "token_endpoint": "https://oauth2.googleapis.com/token",
            "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
        },
    ),
]
COGNITO = presets.cognito(
    "eu-central-1_Ab12Cd34E", "notes.auth.eu-central-1.amazoncognito.com", "notes"
)


def asked(provider: Provider, metadata: Metadata) -> dict[str, str]:
    """Return the parameters with which a person is sent to the provider."""
    pending = new_pending(provider, Asked(), redirect_uri=PAGE, now=NOW)
    query = urlsplit(authorization_url(metadata, provider, pending, Asked())).query
    return {name: value for name, (value,) in parse_qs(query).items()}


@pytest.mark.parametrize(("provider", "url", "described"), DISCOVERED)
def test_a_preset_finds_and_accepts_what_its_provider_says(
    provider: Provider, url: str, described: dict[str, Any]
) -> None:
    assert (provider.discovery_url or discovery_url_of(provider.issuer)) == url
    metadata = metadata_of(described, provider.issuer)
    assert metadata.token_endpoint == described["token_endpoint"]
    sent = asked(provider, metadata)
    assert (sent["client_id"], sent["redirect_uri"]) == ("notes", PAGE)
    assert {"openid", "profile"} <= set(sent["scope"].split())


@pytest.mark.parametrize(("provider", "_url", "described"), DISCOVERED)
def test_a_preset_accepts_no_other_issuer(
    provider: Provider, _url: str, described: dict[str, Any]
) -> None:
    for other in (f"{described['issuer']}x", "https://evil.example"):
        with pytest.raises(SignInFailed):
            metadata_of({**described, "issuer": other}, provider.issuer)


def test_everybodys_entra_takes_the_tokens_of_each_tenant_by_its_own_name() -> None:
    everybody, one = presets.entra("common", "notes"), presets.entra(TENANT, "notes")
    other = {**CLAIMS, "iss": f"{MICROSOFT}/{CONSUMERS}/v2.0", "tid": CONSUMERS}
    token = f"{encoded(HEADER)}.{encoded(other)}.c2ln"
    facts: dict[str, Any] = {
        "client_id": "notes",
        "nonce": "n1",
        "algorithms": frozenset({"RS256"}),
        "now": NOW,
    }
    assert checked_claims(token, issuer=everybody.issuer, **facts)["tid"] == CONSUMERS
    with pytest.raises(SignInFailed):
        checked_claims(token, issuer=one.issuer, **facts)


def test_cognito_has_addresses_of_its_domain_and_a_sign_out_of_its_own() -> None:
    known = COGNITO.known_metadata
    assert known is not None
    at = "https://notes.auth.eu-central-1.amazoncognito.com"
    assert known.issuer == "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd34E"
    assert known.authorization_endpoint == f"{at}/oauth2/authorize"
    assert known.token_endpoint == f"{at}/oauth2/token"
    assert known.revocation_endpoint == f"{at}/oauth2/revoke"
    assert known.end_session_endpoint == f"{at}/logout"
    assert COGNITO.logout == "logout_uri"
    assert asked(COGNITO, known)["scope"] == "openid profile"


def test_what_a_provider_needs_of_its_own_is_sent() -> None:
    auth0 = presets.auth0("notes.eu.auth0.com", "notes", "https://api.example.com")
    metadata = metadata_of(document(AUTH0, authorization="/a", token="/t"), AUTH0)
    assert asked(auth0, metadata)["audience"] == "https://api.example.com"
    google = presets.google("notes", "not secret")
    assert google.client_secret == "not secret"
    assert google.post_logout_redirect_uri is None
    assert "offline_access" not in google.scope + COGNITO.scope
    assert "offline_access" in presets.okta("notes.okta.com", "notes").scope


def test_further_attributes_take_the_place_of_a_presets_own() -> None:
    scope = "openid offline_access api://notes/read"
    assert presets.entra(TENANT, "notes", scope=scope).scope == scope
    assert presets.keycloak("http://127.0.0.1:8080", "r", "notes", dpop=True).dpop
    with pytest.raises(TypeError, match="colour"):
        presets.okta("notes.okta.com", "notes", colour="blue")


@pytest.mark.parametrize("host", ["", "notes", "https://notes.okta.com", "a.b/c", "a.b:1", "a@b.c"])
def test_a_domain_is_a_host(host: str) -> None:
    with pytest.raises(ValueError, match=r"^auth0: domain is a host"):
        presets.auth0(host, "notes")
    with pytest.raises(ValueError, match=r"^okta: domain is a host"):
        presets.okta(host, "notes")
    with pytest.raises(ValueError, match=r"^cognito: domain is a host"):
        presets.cognito("eu-central-1_Ab12Cd34E", host, "notes")


@pytest.mark.parametrize("tenant", ["", "contoso.onmicrosoft.com", "{tenantid}", f"{TENANT}/x"])
def test_an_entra_tenant_is_a_guid(tenant: str) -> None:
    with pytest.raises(ValueError, match=r"^entra: tenant"):
        presets.entra(tenant, "notes")


@pytest.mark.parametrize(
    "pool", ["", "eu-central-1", "eu-central-1_", "Ab12Cd34E", "a.b-c_x", "evil_"]
)
def test_a_cognito_pool_has_its_region(pool: str) -> None:
    with pytest.raises(ValueError, match=r"^cognito: user_pool_id"):
        presets.cognito(pool, "notes.auth.eu-central-1.amazoncognito.com", "notes")


def test_google_wants_a_secret_and_pages_may_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"^google: client_secret"):
        presets.google("notes", "")
    monkeypatch.setattr("sys.platform", "emscripten")
    with pytest.raises(ValueError, match=r"client_secret .* page"):
        presets.google("notes", "not secret")


def test_each_preset_names_its_source() -> None:
    makers = [
        one
        for name, one in vars(presets).items()
        if getattr(one, "__module__", "") == presets.__name__ and not name.startswith("_")
    ]
    assert len(makers) == 6
    for maker in makers:
        assert "https://" in (maker.__doc__ or ""), maker
