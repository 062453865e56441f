"""The provider that lies: honest by default, and a lie in each field that a test names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest

from tests.providers.places import CALLBACK
from tests.support import plain_http
from tests.support.form_browser import FormBrowser
from tests.support.lying_provider import DESCRIPTION, ENDPOINTS, KEYS, LyingProvider
from tests.support.raw_client import RawClient, answer_in, claims_in, error_of, tokens_in


@pytest.fixture
def provider() -> Iterator[LyingProvider]:
    with LyingProvider() as provider:
        yield provider


@pytest.fixture
def client(provider: LyingProvider) -> RawClient:
    return RawClient(discovered(provider), "spa", CALLBACK)


def discovered(provider: LyingProvider) -> dict[str, Any]:
    document: dict[str, Any] = plain_http.get(f"{provider.url}{provider.discovery}").json()
    return document


def callback_of(client: RawClient) -> str:
    with FormBrowser() as browser:
        return browser.visit(client.authorization_url())


def tokens_of(client: RawClient) -> dict[str, Any]:
    return tokens_in(client.redeem(callback_of(client)))


def test_an_honest_sign_in(provider: LyingProvider, client: RawClient) -> None:
    callback = callback_of(client)
    assert answer_in(callback).keys() == {"code", "state", "iss"}
    assert answer_in(callback)["iss"] == provider.issuer == client.metadata["issuer"]
    tokens = client.redeem(callback).json()
    claims = jwt.decode(
        tokens["id_token"], KEYS["RS256"].public_key(), ["RS256"], audience="spa", leeway=5
    )
    assert (claims["iss"], claims["nonce"], claims["sub"]) == (provider.issuer, "a nonce", "ada")
    assert client.userinfo(tokens["access_token"]).json()["sub"] == "ada"
    assert error_of(client.redeem(callback)) == (400, "invalid_grant"), "a code is good once"


def test_its_keys_are_published(client: RawClient) -> None:
    token = tokens_of(client)["id_token"]
    key = jwt.PyJWKClient(client.metadata["jwks_uri"]).get_signing_key_from_jwt(token)
    assert jwt.decode(token, key, audience="spa", leeway=5)["sub"] == "ada"


@pytest.mark.parametrize(
    "wrong", [{"code_verifier": "A" * 43}, {"client_id": "web"}, {"redirect_uri": "/"}]
)
def test_a_code_is_good_for_one_client_only(client: RawClient, wrong: dict[str, str]) -> None:
    assert error_of(client.redeem(callback_of(client), **wrong)) == (400, "invalid_grant")


@pytest.mark.parametrize("lacking", ["code_challenge", "redirect_uri", "client_id"])
def test_a_sign_in_needs_pkce_and_a_registered_client(client: RawClient, lacking: str) -> None:
    url = httpx.URL(client.authorization_url())
    assert error_of(plain_http.get(url.copy_remove_param(lacking))) == (400, "invalid_request")
    plain = url.copy_set_param("code_challenge_method", "plain")
    assert error_of(plain_http.get(plain)) == (400, "invalid_request")


def test_a_replay_ends_the_session(client: RawClient) -> None:
    first = tokens_of(client)["refresh_token"]
    refreshed = client.refresh(first).json()
    assert "nonce" not in claims_in(refreshed["id_token"])
    assert error_of(client.refresh(first)) == (400, "invalid_grant")
    assert error_of(client.refresh(refreshed["refresh_token"])) == (400, "invalid_grant")


def test_without_rotation_a_refresh_token_stays(provider: LyingProvider, client: RawClient) -> None:
    provider.rotates = False
    token = tokens_of(client)["refresh_token"]
    assert [client.refresh(token).json()["refresh_token"] for _ in range(2)] == [token] * 2


def test_a_revoked_session_is_over(client: RawClient) -> None:
    tokens = tokens_of(client)
    client.secret = "any"
    assert client.introspect(tokens["access_token"]).json()["active"] is True
    assert client.revoke(tokens["refresh_token"]).status_code == 200
    assert error_of(client.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    assert client.userinfo(tokens["access_token"]).status_code == 401
    assert client.introspect(tokens["access_token"]).json() == {"active": False}


def test_a_device_receives_what_is_scripted(provider: LyingProvider, client: RawClient) -> None:
    script = ["authorization_pending", "slow_down"]
    provider.device_answers = [*script, "access_denied"]
    code = client.start_device().json()["device_code"]
    assert [error_of(client.poll(code)) for _ in range(3)] == [
        (400, error) for error in [*script, "access_denied"]
    ]
    assert client.poll(code).json()["refresh_token"]
    assert error_of(client.poll(code)) == (400, "expired_token")


@pytest.mark.parametrize("name", ["post_logout_redirect_uri", "logout_uri", "returnTo"])
def test_a_sign_out_goes_where_it_is_sent(client: RawClient, name: str) -> None:
    query = {name: "http://127.0.0.1:9/?a=b", "state": "bye"}
    response = plain_http.get(client.metadata["end_session_endpoint"], params=query)
    assert response.headers["location"] == "http://127.0.0.1:9/?a=b&state=bye"


@pytest.mark.parametrize("name", ["issuer", *ENDPOINTS])
def test_it_lies_of_itself(provider: LyingProvider, name: str) -> None:
    provider.metadata = {name: "https://evil.example"}
    assert discovered(provider)[name] == "https://evil.example"
    provider.metadata = {name: None}
    assert name not in discovered(provider)


def test_it_lies_in_its_answer(provider: LyingProvider, client: RawClient) -> None:
    provider.answer = {"iss": "https://evil.example", "state": None, "code": ["a", "b"]}
    query = callback_of(client).partition("?")[2]
    assert query == "code=a&code=b&iss=https%3A%2F%2Fevil.example"


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "nonce", "iat", "exp", "azp", "auth_time"])
def test_it_lies_in_an_id_token(provider: LyingProvider, client: RawClient, name: str) -> None:
    provider.claims = {name: "other"}
    assert claims_in(tokens_of(client)["id_token"])[name] == "other"
    provider.claims = {name: None}
    assert name not in claims_in(tokens_of(client)["id_token"])


@pytest.mark.parametrize("algorithm", KEYS)
def test_it_signs_by_any_algorithm(
    provider: LyingProvider, client: RawClient, algorithm: str
) -> None:
    provider.algorithm, provider.header = algorithm, {"kid": None, "typ": "other"}
    header = jwt.get_unverified_header(tokens_of(client)["id_token"])
    assert header == {"alg": algorithm, "typ": "other"}


def test_it_lies_about_tokens_and_people(provider: LyingProvider, client: RawClient) -> None:
    provider.tokens = {"id_token": None, "token_type": "mac"}
    provider.user = {"sub": "mallory"}
    tokens = tokens_of(client)
    assert "id_token" not in tokens
    assert tokens["token_type"] == "mac"
    assert client.userinfo(tokens["access_token"]).json()["sub"] == "mallory"


def test_it_fails_as_asked(provider: LyingProvider, client: RawClient) -> None:
    provider.fail("/token", 429, "slow_down", **{"Retry-After": "7"})
    response = client.refresh("any")
    assert error_of(response) == (429, "slow_down")
    assert response.headers["retry-after"] == "7"
    assert response.json()["error_description"] == DESCRIPTION


def test_it_hangs_until_it_is_opened(provider: LyingProvider, client: RawClient) -> None:
    provider.open.clear()
    with pytest.raises(httpx.ReadTimeout):
        plain_http.get(client.metadata["jwks_uri"], timeout=0.2)
    provider.open.set()
    assert plain_http.get(client.metadata["jwks_uri"]).status_code == 200


def test_it_records_each_request(provider: LyingProvider, client: RawClient) -> None:
    client.refresh("any")
    client.secret = "secret"
    client.refresh("other")
    assert provider.requests == {"/token": 2, provider.discovery: 1}
    first, second = provider.forms("/token")
    assert first == {"grant_type": "refresh_token", "client_id": "spa", "refresh_token": "any"}
    assert second["refresh_token"] == "other"
    assert provider.sent[-1].headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize("allowed", [True, False])
def test_pages_of_all_origins_may_call_or_none(
    provider: LyingProvider,
    client: RawClient,
    allowed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    provider.allows_origins = allowed
    preflight = httpx.options(client.metadata["token_endpoint"], headers={"Origin": "http://a"})
    call = plain_http.get(client.metadata["jwks_uri"], headers={"Origin": "http://a"})
    for response in (preflight, call):
        assert ("access-control-allow-origin" in response.headers) is allowed
    assert "/token" not in provider.requests


def test_its_paths_are_its_own() -> None:
    with LyingProvider(
        "/tenant/v2.0", {"token_endpoint": "/tenant/oauth2/token", "revocation_endpoint": None}
    ) as provider:
        described = plain_http.get(f"{provider.issuer}/.well-known/openid-configuration").json()
        assert described["issuer"] == f"{provider.url}/tenant/v2.0"
        assert described["token_endpoint"] == f"{provider.url}/tenant/oauth2/token"
        assert "revocation_endpoint" not in described
        assert tokens_of(RawClient(described, "spa", CALLBACK))["id_token"]
