"""The raw protocol at npm's oidc-provider: what the tests of sign-ins stand on."""

from __future__ import annotations

from typing import Any

import httpx
import jwt
import pytest

from tests.providers.places import API, CALLBACK, ORIGIN
from tests.support import plain_http
from tests.support.form_browser import FormBrowser
from tests.support.oidc_provider import CLIENT_SECRETS, OidcProvider, sign_in
from tests.support.proof_maker import ProofMaker
from tests.support.raw_client import RawClient, answer_in, claims_in, error_of, tokens_in


@pytest.fixture
def provider(npm: OidcProvider) -> OidcProvider:
    return npm


@pytest.fixture
def spa(npm_spa: RawClient) -> RawClient:
    return npm_spa


def signed_in(client: RawClient, **more: str) -> dict[str, Any]:
    return tokens_in(client.redeem(sign_in(client.authorization_url(**more))))


def test_a_person_signs_in_and_the_answer_names_its_issuer(
    provider: OidcProvider, spa: RawClient
) -> None:
    callback = sign_in(spa.authorization_url(), "grace")
    assert callback.startswith(f"{CALLBACK}?")
    answer = answer_in(callback)
    assert (answer["state"], answer["iss"]) == ("a state", provider.issuer)
    tokens = spa.redeem(callback).json()
    claims = claims_in(tokens["id_token"])
    expected = {"iss": provider.issuer, "aud": "spa", "nonce": "a nonce", "sub": "grace"}
    assert expected.items() <= claims.items()
    assert spa.userinfo(tokens["access_token"]).json()["name"] == "Name of grace"


def test_a_person_who_cancels_is_sent_back_with_a_refusal(spa: RawClient) -> None:
    answer = answer_in(sign_in(spa.authorization_url(), refuses=True))
    assert answer["error"] == "access_denied"
    assert "code" not in answer


def test_without_rotation_a_refresh_token_stays(provider: OidcProvider, spa: RawClient) -> None:
    provider.change(rotate=False)
    token = signed_in(spa)["refresh_token"]
    assert [spa.refresh(token).json()["refresh_token"] for _ in range(2)] == [token] * 2


def test_a_web_client_gets_no_refresh_token_without_consent_unless_the_option_says_so(
    provider: OidcProvider, spa: RawClient
) -> None:
    with FormBrowser() as browser:
        assert "refresh_token" in spa.redeem(browser.visit(spa.authorization_url())).json()
        silent = spa.authorization_url(prompt="none")
        assert "refresh_token" not in spa.redeem(browser.visit(silent)).json()
        provider.change(always_refresh=True)
        assert "refresh_token" in spa.redeem(browser.visit(silent)).json()


def test_a_browser_session_signs_in_without_a_page_until_the_operator_ends_it(
    provider: OidcProvider, spa: RawClient
) -> None:
    silent = spa.authorization_url(prompt="none")
    with FormBrowser() as browser:
        assert answer_in(browser.visit(silent))["error"] == "login_required"
        browser.visit(spa.authorization_url())
        assert "code" in answer_in(browser.visit(silent))
        provider.end_browser_sessions()
        assert answer_in(browser.visit(silent))["error"] == "login_required"


def test_what_was_allowed_can_be_taken_back(provider: OidcProvider, spa: RawClient) -> None:
    token = signed_in(spa)["refresh_token"]
    provider.revoke_grants()
    assert error_of(spa.refresh(token)) == (400, "invalid_grant")


@pytest.mark.parametrize(("suffix", "algorithm"), [("", "RS256"), ("/es", "ES256")])
@pytest.mark.parametrize("parameter", ["resource", "audience"])
def test_a_token_for_an_api_is_a_jwt_for_it(
    spa: RawClient, parameter: str, suffix: str, algorithm: str
) -> None:
    spa.scope = "openid offline_access notes"
    token = signed_in(spa, **{parameter: API + suffix})["access_token"]
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    claims = claims_in(token)
    assert (claims["aud"], claims["sub"], claims["scope"]) == (API + suffix, "ada", "notes")


def test_an_api_introspects_an_opaque_token_of_another_client(
    provider: OidcProvider, spa: RawClient
) -> None:
    spa.scope = "openid offline_access notes"
    token = signed_in(spa, resource=f"{API}/opaque")["access_token"]
    api = RawClient(provider.metadata, "api", secret=CLIENT_SECRETS["api"])
    seen = api.introspect(token).json()
    assert (seen["active"], seen["sub"], seen["client_id"]) == (True, "ada", "spa")
    spa.revoke(token)
    assert api.introspect(token).json() == {"active": False}


def test_a_server_redeems_its_code_with_its_secret(provider: OidcProvider) -> None:
    client = RawClient(provider.metadata, "server", f"{ORIGIN}/signed-in", CLIENT_SECRETS["server"])
    callback = sign_in(client.authorization_url())
    client.secret = "another"
    assert error_of(client.redeem(callback)) == (401, "invalid_client")
    client.secret = CLIENT_SECRETS["server"]
    assert client.redeem(sign_in(client.authorization_url())).status_code == 200


def test_an_id_token_may_be_signed_by_es256(provider: OidcProvider) -> None:
    token = signed_in(RawClient(provider.metadata, "spa-es", CALLBACK))["id_token"]
    assert jwt.get_unverified_header(token)["alg"] == "ES256"


def test_an_installed_client_comes_back_to_any_port(provider: OidcProvider) -> None:
    client = RawClient(provider.metadata, "native", "http://127.0.0.1:5/callback")
    assert signed_in(client)["refresh_token"]


def test_a_bound_client_needs_a_proof_with_a_nonce(provider: OidcProvider) -> None:
    client = RawClient(provider.metadata, "spa-dpop", CALLBACK)
    callback = sign_in(client.authorization_url())
    refused, response = client.redeem_bound(callback, ProofMaker().proof)
    assert error_of(refused) == (400, "use_dpop_nonce")
    assert response.json()["token_type"] == "DPoP"


@pytest.mark.parametrize("refuses", [False, True])
def test_a_device_waits_for_what_the_person_answers_elsewhere(
    provider: OidcProvider,
    refuses: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    device = RawClient(provider.metadata, "device")
    started = device.start_device().json()
    assert error_of(device.poll(started["device_code"])) == (400, "authorization_pending")
    page = started["verification_uri_complete"]
    if refuses:
        with pytest.raises(AssertionError):
            sign_in(page, refuses=True)
        assert error_of(device.poll(started["device_code"])) == (400, "access_denied")
    else:
        sign_in(page)
        assert device.poll(started["device_code"]).json()["refresh_token"]


def test_only_a_registered_origin_may_read_a_response(provider: OidcProvider) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "A" * 43, "client_id": "spa"}
    url = provider.metadata["token_endpoint"]
    ours = plain_http.post(url, data=form, headers={"Origin": ORIGIN})
    assert ours.headers["access-control-allow-origin"] == ORIGIN
    other = plain_http.post(url, data=form, headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_tokens_live_as_long_as_the_option_says(provider: OidcProvider, spa: RawClient) -> None:
    provider.change(access_ttl=7)
    assert signed_in(spa)["expires_in"] == 7


def test_it_records_requests_and_fails_as_asked(provider: OidcProvider, spa: RawClient) -> None:
    tokens = signed_in(spa)
    provider.log()
    provider.fail(token=503)
    assert spa.refresh(tokens["refresh_token"]).status_code == 503
    provider.fail()
    provider.lose_responses()
    with pytest.raises(httpx.RemoteProtocolError):
        spa.refresh(tokens["refresh_token"])
    assert error_of(spa.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    seen = [(one["path"], one["status"], one.get("grant")) for one in provider.log()]
    assert seen[0][:2] == ("/token", 503)
    assert seen[1:] == [("/token", 200, "refresh_token"), ("/token", 400, "refresh_token")]


def test_a_slow_token_endpoint_takes_as_long_as_asked(
    provider: OidcProvider, spa: RawClient
) -> None:
    token = signed_in(spa)["refresh_token"]
    provider.slow(300)
    assert spa.refresh(token).elapsed.total_seconds() >= 0.3
