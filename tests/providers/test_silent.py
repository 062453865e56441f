"""An expired session tries ``prompt=none`` by a redirect, where the application asks for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.providers.places import PAGE, Machine, Tab
from tests.support.lying_provider import LyingProvider
from unexpired import AsyncClient, UnexpiredError

HERE = "/app#/orders"


@pytest.fixture
def tab(machine: Machine) -> Tab:
    machine.provider = replace(machine.provider, silent=True)
    return Tab(machine.person, f"{PAGE}#/orders")


async def _asked(client: AsyncClient) -> None:
    with suppress(UnexpiredError):
        await client.get("/api/orders")


def _prompt(url: str) -> str:
    return parse_qs(urlsplit(url).query).get("prompt", [""])[0]


@pytest.mark.parametrize("login_url", ["", "#/login"])
async def test_a_person_who_is_signed_in_there_sees_nothing(
    machine: Machine, tab: Tab, login_url: str
) -> None:
    await machine.leave(_asked(machine.open(tab, login_url=login_url)), tab)
    client = await machine.open(tab, login_url=login_url).ready()
    assert [_prompt(url) for url in tab.left_for] == ["none"]
    assert client.state == "active"
    assert tab.shown == [HERE]


async def test_anybody_else_comes_to_the_sign_in_page_of_the_application(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    machine.options["login_url"] = "#/login"
    liar.answer = {"error": "login_required", "code": None}
    await machine.leave(_asked(machine.open(tab)), tab)
    client = await machine.open(tab).ready()
    assert tab.shown == ["#/login?next=%2Fapp%23%2Forders&reason=expired"]
    tab.address = f"{PAGE}#/login"
    liar.answer = {}
    await machine.leave(client.sign_in(), tab)
    assert _prompt(tab.left_for[-1]) == ""
    await machine.open(tab).ready()
    assert tab.shown[-1] == HERE


async def test_without_such_a_page_they_come_to_the_providers(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    liar.answer = {"error": "login_required", "code": None}
    await machine.leave(_asked(machine.open(tab)), tab)
    liar.answer = {}
    await machine.leave(machine.open(tab).ready(), tab)
    assert [_prompt(url) for url in tab.left_for] == ["none", ""]
    await machine.open(tab).ready()
    assert tab.shown[-1] == HERE


async def test_a_second_time_within_a_minute_it_is_the_sign_in_page_at_once(
    machine: Machine, tab: Tab
) -> None:
    machine.options["login_url"] = "#/login"
    await machine.leave(_asked(machine.open(tab)), tab)
    client = await machine.open(tab).ready()
    client._manager.session.expire(client._manager.session.require().generation, "INVALID_TOKEN")  # noqa: SLF001
    client._manager.commit()  # noqa: SLF001
    await asyncio.sleep(0)
    assert len(tab.left_for) == 1
    assert "#/login?next=" in tab.address
