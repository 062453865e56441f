"""The raw protocol where npm's oidc-provider and Django OAuth Toolkit do the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.providers.places import ORIGIN
from tests.support.django_provider import form_browser
from tests.support.form_browser import FormBrowser
from tests.support.raw_client import RawClient, answer_in, error_of, tokens_in


@pytest.fixture(params=["npm", "django"])
def spa(request: pytest.FixtureRequest) -> RawClient:
    client: RawClient = request.getfixturevalue(f"{request.param}_spa")
    return client


@pytest.fixture
def user() -> Iterator[FormBrowser]:
    """Somebody who can sign in at both: oidc-provider takes any name and any password."""
    with form_browser() as browser:
        yield browser


@pytest.fixture
def tokens(spa: RawClient, user: FormBrowser) -> dict[str, Any]:
    """What the page has once the user has signed in."""
    return tokens_in(spa.redeem(user.visit(spa.authorization_url())))


def test_a_code_needs_its_verifier(spa: RawClient, user: FormBrowser) -> None:
    callback = user.visit(spa.authorization_url())
    assert error_of(spa.redeem(callback, code_verifier="A" * 43)) == (400, "invalid_grant")


def test_a_refresh_token_is_good_once_and_its_replay_ends_the_session(
    spa: RawClient, tokens: dict[str, Any]
) -> None:
    first = tokens["refresh_token"]
    second = spa.refresh(first).json()["refresh_token"]
    assert second != first
    assert error_of(spa.refresh(first)) == (400, "invalid_grant")
    assert error_of(spa.refresh(second)) == (400, "invalid_grant")


def test_a_revoked_refresh_token_is_refused(spa: RawClient, tokens: dict[str, Any]) -> None:
    token = tokens["refresh_token"]
    assert spa.revoke(token).status_code == 200
    assert error_of(spa.refresh(token)) == (400, "invalid_grant")


def test_a_sign_out_at_the_provider_returns_to_the_page(
    spa: RawClient, user: FormBrowser, tokens: dict[str, Any]
) -> None:
    query = httpx.QueryParams(
        id_token_hint=tokens["id_token"], post_logout_redirect_uri=f"{ORIGIN}/", state="bye"
    )
    end = spa.metadata["end_session_endpoint"]
    assert user.visit(f"{end}?{query}") == f"{ORIGIN}/?state=bye"
    silent = user.visit(spa.authorization_url(prompt="none"))
    assert answer_in(silent)["error"] == "login_required"
