"""The raw protocol at Django OAuth Toolkit, where it does as others do and where it does not."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.providers.places import CALLBACK, ORIGIN
from tests.support.django_provider import SERVER_SECRET, DjangoProvider, sign_in
from tests.support.raw_client import RawClient, answer_in, claims_in, error_of, tokens_in


@pytest.fixture
def spa(django_spa: RawClient) -> RawClient:
    return django_spa


@pytest.fixture
def server(spa: RawClient) -> RawClient:
    return RawClient(spa.metadata, "server", CALLBACK, SERVER_SECRET, spa.scope)


def signed_in(client: RawClient) -> dict[str, Any]:
    return tokens_in(client.redeem(sign_in(client.authorization_url())))


def test_a_person_signs_in_and_the_answer_names_no_issuer(
    django: DjangoProvider, spa: RawClient
) -> None:
    callback = sign_in(spa.authorization_url(), "grace")
    assert answer_in(callback).keys() == {"code", "state"}
    tokens = spa.redeem(callback).json()
    assert tokens["expires_in"] == 7
    claims = claims_in(tokens["id_token"])
    expected = {"iss": django.issuer, "aud": "spa", "nonce": "a nonce", "name": "Name of grace"}
    assert expected.items() <= claims.items()
    assert spa.userinfo(tokens["access_token"]).json()["sub"] == claims["sub"] == "2"


def test_a_person_who_cancels_is_sent_back_with_a_refusal(spa: RawClient) -> None:
    answer = answer_in(sign_in(spa.authorization_url(), refuses=True))
    assert answer == {"error": "access_denied", "state": "a state"}


def test_a_server_introspects_tokens(spa: RawClient, server: RawClient) -> None:
    token = signed_in(server)["access_token"]
    assert server.introspect(token).json()["username"] == "ada"
    assert server.introspect(signed_in(spa)["access_token"]).json()["client_id"] == "spa"
    server.revoke(token)
    assert server.introspect(token).json() == {"active": False}


@pytest.mark.parametrize("refuses", [False, True])
def test_a_device_waits_for_what_the_person_answers_elsewhere(
    spa: RawClient,
    refuses: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    device = RawClient(spa.metadata, "device", scope=spa.scope)
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
    ours = httpx.options(url, headers={"Origin": ORIGIN})
    assert ours.headers["access-control-allow-origin"] == ORIGIN
    other = httpx.options(url, headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers
