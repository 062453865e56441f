"""Rules of RFC 9700 and RFC 10017 that take a whole session to show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tests.providers.places import CALLBACK, Machine, Tab
from tests.support.lying_provider import LyingProvider
from tests.support.oidc_provider import OidcProvider
from unexpired.oidc import Provider


@pytest.fixture
def tab(machine: Machine) -> Tab:
    return Tab(machine.person)


@pytest.fixture
async def bound(oidc_provider: OidcProvider) -> AsyncIterator[Machine]:
    """A browser whose sessions are bound to a key, at a provider that demands it with nonces."""
    provider = Provider(
        issuer=oidc_provider.issuer,
        client_id="spa-dpop",
        redirect_uri=CALLBACK,
        prompt="consent",
        dpop=True,
    )
    machine = Machine(provider, {"base_url": oidc_provider.issuer})
    yield machine
    machine.close()


async def test_a_password_is_never_taken(machine: Machine, tab: Tab, liar: LyingProvider) -> None:
    with pytest.raises(TypeError, match="password"):
        await machine.open(tab).sign_in("ada", "correct horse")
    assert liar.sent == []


async def test_each_request_for_tokens_names_the_resource(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    machine.provider = replace(machine.provider, resource="https://notes.example")
    client = await machine.sign_in(tab)
    await client.refresh()
    asked = [*liar.forms("/authorize"), *liar.forms("/token")]
    assert [one["resource"] for one in asked] == ["https://notes.example"] * 3


async def test_two_tabs_use_a_refresh_token_once(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    first = await machine.sign_in(tab)
    second = await machine.open(Tab(machine.person)).ready()
    await first.refresh()
    await second.refresh()
    used = [one["refresh_token"] for one in liar.forms("/token")[1:]]
    assert len({*used}) == len(used) == 2
    assert first.state == second.state == "active"


async def test_no_token_of_the_api_is_ever_in_an_address(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    client = await machine.sign_in(tab)
    secrets = [await client.token()]
    await client.refresh()
    secrets += [await client.token(), *(one["refresh_token"] for one in liar.forms("/token")[1:])]
    await client.userinfo()
    await client.sign_out()
    shown = [*tab.left_for, tab.address, str(client.diagnose())]
    assert not [text for text in shown for secret in secrets if secret in text]


async def test_tokens_are_bound_to_a_key_where_the_provider_binds_them(
    bound: Machine, oidc_provider: OidcProvider
) -> None:
    """Code and refresh token are exchanged with proofs; the provider wants its nonce in each."""
    oidc_provider.log()
    client = await bound.sign_in(Tab(bound.person))
    await client.refresh()
    assert (await client.userinfo())["sub"] == "ada"
    assert client.diagnose()["bound"] is True
    exchanged = _exchanges(oidc_provider.log())
    assert exchanged == ["authorization_code", "refresh_token"]


def _exchanges(log: list[dict[str, Any]]) -> list[str]:
    """Return the grants that succeeded."""
    return [one["grant"] for one in log if one["path"] == "/token" and one["status"] == 200]
