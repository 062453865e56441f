"""Our clients at PyPI's oidc-provider-mock, which is made by others on Authlib.

It cannot show the following, for it has no part in them: that PKCE is checked (it ignores the
challenge and the verifier), rotation and the reuse of refresh tokens, revocation at a sign-out,
a session at the provider (it asks at each sign-in, so ``prompt`` means nothing, and its sign-out
page ends nothing), an ``iss`` in the answer, DPoP, introspection and devices. Its userinfo
answers a revoked token with 400, not 401, so the end of a session at an API does not show. It
sends no CORS headers: the page here is one without a browser, which enforces none.

Its denial comes back without the ``state``, which RFC 6749 demands (section 4.1.2.1). Nothing
tells such an answer from a forged one, so neither client believes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.providers.places import CALLBACK, PAGE, Machine, Tab, awaited, program
from tests.support.mock_provider import PEOPLE, MockBrowser, MockProvider
from tests.support.raw_client import RawClient, answer_in
from unexpired import SessionExpired, SignInFailed
from unexpired.oidc import Provider

ACCESS_TTL = 4
DEADLINE = 30


@pytest.fixture(scope="module")
def mock() -> Iterator[MockProvider]:
    with MockProvider([CALLBACK], access_ttl=ACCESS_TTL) as provider:
        yield provider


@pytest.fixture
def user() -> Iterator[MockBrowser]:
    """Return somebody at a browser."""
    with MockBrowser("grace") as browser:
        yield browser


def at(mock: MockProvider, **options: Any) -> Provider:
    given = {"client_id": mock.client_id, "scope": "openid profile", "redirect_uri": CALLBACK}
    return Provider(issuer=mock.issuer, **{**given, **options})


@pytest.fixture(params=[False, True], ids=["async", "sync"])
def client(request: pytest.FixtureRequest, mock: MockProvider, user: MockBrowser) -> Any:
    """Return the client of a program."""
    return program(user, is_sync=request.param, base_url=mock.issuer, provider=at(mock))


@pytest.fixture
async def machine(mock: MockProvider, user: MockBrowser) -> AsyncIterator[Machine]:
    """A browser whose page signs in there."""
    machine = Machine(at(mock), {"base_url": mock.issuer}, person=user)
    yield machine
    machine.close()


def tokens_of(client: Any) -> Any:
    return client._manager.session.require().tokens  # noqa: SLF001


async def test_the_user_is_who_signed_in_with_what_the_scopes_allow(
    client: Any, mock: MockProvider
) -> None:
    await awaited(client.sign_in)
    allowed = {name: value for name, value in PEOPLE["grace"].items() if name != "email"}
    assert client.user == {"sub": "grace", "iss": mock.issuer, **allowed}
    assert await awaited(client.userinfo) == {"sub": "grace", **allowed}


async def test_a_refresh_keeps_the_refresh_token_and_the_user(client: Any) -> None:
    await awaited(client.sign_in)
    before, user = tokens_of(client), client.user
    await awaited(client.refresh)
    after = tokens_of(client)
    assert after.access_token != before.access_token
    assert after.refresh_token == before.refresh_token
    assert client.user == user
    await awaited(client.refresh)
    assert (await awaited(client.userinfo))["sub"] == "grace"


async def test_a_token_that_expires_is_renewed_before_a_request_needs_it(client: Any) -> None:
    refreshed = list[int]()
    client.on("refreshed", lambda: refreshed.append(1))
    await awaited(client.sign_in)
    async with asyncio.timeout(DEADLINE):
        while not refreshed:
            assert (await awaited(client.get, "/userinfo")).json()["sub"] == "grace"
            await asyncio.sleep(0.05)


async def test_a_refresh_after_a_revocation_is_refused(client: Any, mock: MockProvider) -> None:
    await awaited(client.sign_in)
    mock.revoke_all("grace")
    with pytest.raises(SessionExpired) as end:
        await awaited(client.refresh)
    assert end.value.code == "REFRESH_INVALID"


async def test_a_denial_without_its_state_is_not_believed(client: Any, user: MockBrowser) -> None:
    user.refuses = True
    with pytest.raises(SignInFailed) as failure:
        await awaited(client.sign_in)
    assert failure.value.code == "UNKNOWN_SIGN_IN"
    assert client.state == "anonymous"


@pytest.mark.parametrize(
    "wrong", [{"client_id": "another"}, {"redirect_uri": "http://127.0.0.1:9/elsewhere"}]
)
def test_only_the_client_that_is_registered_signs_anybody_in(
    mock: MockProvider, user: MockBrowser, wrong: dict[str, str]
) -> None:
    client = program(user, is_sync=True, base_url=mock.issuer, provider=at(mock, **wrong))
    with pytest.raises(AssertionError, match="400"):  # The provider shows an error.
        client.sign_in()
    assert client.state == "anonymous"


async def test_a_sign_out_ends_the_session_here_and_not_there(
    client: Any, mock: MockProvider
) -> None:
    await awaited(client.sign_in)
    token = tokens_of(client).refresh_token
    await awaited(client.sign_out)
    assert client.state == "anonymous"
    assert client.user is None
    assert RawClient(mock.metadata, mock.client_id).refresh(token).status_code == 200


async def test_a_page_signs_in_is_opened_again_and_refreshes(
    machine: Machine, user: MockBrowser
) -> None:
    tab = Tab(user, f"{PAGE}?page=2#/7")
    client = await machine.sign_in(tab)
    assert tab.shown == ["/app?page=2#/7"]
    client = await machine.open(tab).ready()
    await client.refresh()
    assert client.user is not None
    assert client.user["name"] == "Name of grace"
    assert (await client.userinfo())["sub"] == "grace"


async def test_a_page_is_signed_out_by_way_of_the_provider(
    machine: Machine, mock: MockProvider, user: MockBrowser
) -> None:
    tab = Tab(user)
    client = await machine.sign_in(tab)
    await machine.leave(client.sign_out(), tab)
    asked = parse_qs(urlsplit(tab.left_for[-1]).query)
    assert user.pages[-1] == mock.metadata["end_session_endpoint"]
    assert asked["post_logout_redirect_uri"] == [CALLBACK]
    assert "id_token_hint" in asked
    assert tab.address == CALLBACK
    assert (await machine.open(tab).ready()).state == "anonymous"


async def test_a_page_leaves_a_denial_without_its_state_in_the_address(
    machine: Machine, user: MockBrowser
) -> None:
    user.refuses = True
    tab = Tab(user)
    client = await machine.sign_in(tab)
    assert client.state == "anonymous"
    assert answer_in(tab.address)["error"] == "access_denied"
    user.refuses = False
    assert (await machine.sign_in(Tab(user))).state == "active"
