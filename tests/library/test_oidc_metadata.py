"""What a provider says of itself: used only if it is true to the last character."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unexpired import SignInFailed
from unexpired.oidc.metadata import Metadata, discovery_url_of, metadata_of

ISSUER = "https://login.example"
LOCAL = "http://127.0.0.1:4000"
TENANTS = "https://login.example/{tenantid}/v2.0"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": "https://tokens.example/token",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "end_session_endpoint": f"{ISSUER}/end",
    "userinfo_endpoint": f"{ISSUER}/me",
    "device_authorization_endpoint": f"{ISSUER}/device",
    "authorization_response_iss_parameter_supported": True,
    "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none", "hs512", 7],
    "code_challenge_methods_supported": ["plain", "S256"],
    "anything": {"else": 1},
}
ENDPOINTS = [name for name in DOCUMENT if name.endswith("_endpoint")]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def refused(document: Any, issuer: str = ISSUER) -> str:
    """Return the note for developers."""
    with pytest.raises(SignInFailed) as caught:
        metadata_of(document, issuer)
    assert caught.value.code == "PROVIDER_MISMATCH"
    (note,) = caught.value.__notes__
    return note


def test_a_document_is_read() -> None:
    assert metadata_of(DOCUMENT, ISSUER) == Metadata(
        issuer=ISSUER,
        authorization_endpoint=f"{ISSUER}/auth",
        token_endpoint="https://tokens.example/token",
        revocation_endpoint=f"{ISSUER}/revoke",
        end_session_endpoint=f"{ISSUER}/end",
        userinfo_endpoint=f"{ISSUER}/me",
        device_authorization_endpoint=f"{ISSUER}/device",
        sends_iss=True,
        algorithms=frozenset({"RS256", "ES256"}),
    )


def test_two_endpoints_are_enough() -> None:
    few = {name: DOCUMENT[name] for name in ("issuer", "authorization_endpoint", "token_endpoint")}
    metadata = metadata_of({**few, "revocation_endpoint": None}, ISSUER)
    assert (metadata.revocation_endpoint, metadata.sends_iss) == ("", False)
    assert metadata.algorithms == {"RS256"}


@pytest.mark.parametrize(
    "issuer",
    [
        *(None, 1, [ISSUER], "", f"{ISSUER}/", f"{ISSUER}:443", ISSUER.upper(), f" {ISSUER}"),
        *("https://evil.example", "http://login.example", f"{ISSUER}.evil.example"),
    ],
)
def test_another_issuer_is_refused(issuer: object) -> None:
    assert "issuer" in refused({**DOCUMENT, "issuer": issuer})


def test_no_issuer_is_refused() -> None:
    assert "issuer" in refused({name: DOCUMENT[name] for name in DOCUMENT if name != "issuer"})


def test_a_tenant_does_not_stand_for_the_issuer_of_all() -> None:
    assert metadata_of({**DOCUMENT, "issuer": TENANTS}, TENANTS).issuer == TENANTS
    assert "issuer" in refused({**DOCUMENT, "issuer": "https://login.example/1/v2.0"}, TENANTS)


BAD = [
    *("javascript:alert(1)", "data:text/html,x", "http://login.example/x", "//login.example/x"),
    *("https://ada@login.example/x", "https://login.example\\@evil.example/x", "/x", "x", "https:"),
    *("https://login.example/x#y", "https://login.example/x#", "https://login.example/a b", ""),
    *("https://login.example:99999/", "https://[::1", "\thttps://login.example/x", "file:///x"),
    *("http://127.0.0.1/x", "http://localhost:80/x", "https://localhost/x", "http://[::1]/x"),
    *("http://127.0.0.1.evil.example/x", "http://localhost@evil.example/x", 1, True, ["x"], {}),
]


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("value", BAD)
def test_a_bad_address_is_refused_by_its_name(name: str, value: object) -> None:
    note = refused({**DOCUMENT, name: value})
    assert name in note
    assert "evil" not in note


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
def test_an_address_that_is_needed_may_not_be_missing(name: str) -> None:
    assert name in refused({**DOCUMENT, name: None})


@pytest.mark.parametrize("host", ["127.0.0.1:4000", "localhost", "[::1]:4000"])
def test_a_provider_on_this_machine_needs_no_tls(host: str) -> None:
    local = f"http://{host}"
    document = {
        "issuer": local,
        "authorization_endpoint": f"{local}/auth",
        "token_endpoint": f"{local}/token",
    }
    assert metadata_of(document, local).token_endpoint == f"{local}/token"


def test_plain_is_no_challenge_method() -> None:
    document = {**DOCUMENT, "code_challenge_methods_supported": ["plain"]}
    assert "code_challenge_methods_supported" in refused(document)


@pytest.mark.parametrize("value", ["true", 1, "yes", [True], None])
def test_only_true_promises_an_iss(value: object) -> None:
    document = {**DOCUMENT, "authorization_response_iss_parameter_supported": value}
    assert not metadata_of(document, ISSUER).sends_iss


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        (ISSUER, f"{ISSUER}/.well-known/openid-configuration"),
        (f"{ISSUER}/", f"{ISSUER}/.well-known/openid-configuration"),
        (f"{ISSUER}/realms/a", f"{ISSUER}/realms/a/.well-known/openid-configuration"),
    ],
)
def test_an_issuer_describes_itself_behind_its_path(issuer: str, url: str) -> None:
    assert discovery_url_of(issuer) == url


@given(st.dictionaries(st.sampled_from([*DOCUMENT, "x"]), json_values))
def test_any_document_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        metadata = metadata_of({**DOCUMENT, **changes}, ISSUER)
    except SignInFailed:
        return
    assert metadata.issuer == ISSUER
    assert json.dumps(sorted(metadata.algorithms)).count("HS") == 0
