"""The raw protocol at Django OAuth Toolkit, where it does as others do and where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest

from tests.support.django_provider import SERVER_SECRET, DjangoProvider, form_browser, sign_in
from tests.support.raw_client import RawClient, answer_in

PAGE = "http://127.0.0.1:9"
CALLBACK = f"{PAGE}/callback"
SCOPE = "openid profile email"


@pytest.fixture(scope="module")
def provider() -> Iterator[DjangoProvider]:
    with DjangoProvider(
        PAGE, [CALLBACK], post_logout_redirect_uris=[f"{PAGE}/"], access_ttl=7
    ) as provider:
        yield provider


@pytest.fixture
def spa(provider: DjangoProvider) -> RawClient:
    return RawClient({**provider.metadata, **provider.unlisted}, "spa", CALLBACK, scope=SCOPE)


@pytest.fixture
def server(spa: RawClient) -> RawClient:
    return RawClient(spa.metadata, "server", CALLBACK, SERVER_SECRET, SCOPE)


def signed_in(client: RawClient) -> dict[str, Any]:
    response = client.redeem(sign_in(client.authorization_url()))
    assert response.status_code == 200, response.text
    tokens: dict[str, Any] = response.json()
    return tokens


def error_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


def test_a_person_signs_in_and_the_answer_names_no_issuer(
    provider: DjangoProvider, spa: RawClient
) -> None:
    callback = sign_in(spa.authorization_url(), "grace")
    assert answer_in(callback).keys() == {"code", "state"}
    tokens = spa.redeem(callback).json()
    assert tokens["expires_in"] == 7
    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    expected = {"iss": provider.issuer, "aud": "spa", "nonce": "a nonce", "name": "Name of grace"}
    assert expected.items() <= claims.items()
    assert spa.userinfo(tokens["access_token"]).json()["sub"] == claims["sub"] == "2"


def test_a_person_who_cancels_is_sent_back_with_a_refusal(spa: RawClient) -> None:
    answer = answer_in(sign_in(spa.authorization_url(), refuses=True))
    assert answer == {"error": "access_denied", "state": "a state"}


def test_a_code_needs_its_verifier(spa: RawClient) -> None:
    callback = sign_in(spa.authorization_url())
    assert error_of(spa.redeem(callback, code_verifier="A" * 43)) == (400, "invalid_grant")


def test_a_refresh_token_is_good_once_and_its_replay_ends_the_session(spa: RawClient) -> None:
    first = signed_in(spa)["refresh_token"]
    second = spa.refresh(first).json()["refresh_token"]
    assert second != first
    assert error_of(spa.refresh(first)) == (400, "invalid_grant")
    assert error_of(spa.refresh(second)) == (400, "invalid_grant")


def test_a_revoked_refresh_token_is_refused(spa: RawClient) -> None:
    token = signed_in(spa)["refresh_token"]
    assert spa.revoke(token).status_code == 200
    assert error_of(spa.refresh(token)) == (400, "invalid_grant")


def test_a_server_introspects_tokens(spa: RawClient, server: RawClient) -> None:
    token = signed_in(server)["access_token"]
    assert server.introspect(token).json()["username"] == "ada"
    assert server.introspect(signed_in(spa)["access_token"]).json()["client_id"] == "spa"
    server.revoke(token)
    assert server.introspect(token).json() == {"active": False}


def test_a_sign_out_at_the_provider_returns_to_the_page(
    provider: DjangoProvider, spa: RawClient
) -> None:
    with form_browser() as browser:
        tokens = spa.redeem(browser.visit(spa.authorization_url())).json()
        query = httpx.QueryParams(
            id_token_hint=tokens["id_token"], post_logout_redirect_uri=f"{PAGE}/", state="bye"
        )
        end = provider.metadata["end_session_endpoint"]
        assert browser.visit(f"{end}?{query}") == f"{PAGE}/?state=bye"
        silent = browser.visit(spa.authorization_url(prompt="none"))
        assert answer_in(silent)["error"] == "login_required"


@pytest.mark.parametrize("refuses", [False, True])
def test_a_device_waits_for_what_the_person_answers_elsewhere(
    spa: RawClient,
    refuses: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    device = RawClient(spa.metadata, "device", scope=SCOPE)
    started = device.start_device().json()
    assert error_of(device.poll(started["device_code"])) == (400, "authorization_pending")
    sign_in(f"{started['verification_uri']}?user_code={started['user_code']}", refuses=refuses)
    response = device.poll(started["device_code"])
    if refuses:
        assert error_of(response) == (400, "access_denied")
    else:
        assert response.json()["refresh_token"]


def test_only_a_registered_origin_may_read_a_response(spa: RawClient) -> None:
    url = spa.metadata["userinfo_endpoint"]
    ours = httpx.options(url, headers={"Origin": PAGE})
    assert ours.headers["access-control-allow-origin"] == PAGE
    other = httpx.options(url, headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers
