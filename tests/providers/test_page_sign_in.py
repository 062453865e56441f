"""A page signs in at a provider by a redirect, and what may go wrong on the way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from tests.providers.places import CALLBACK, PAGE, Machine, Tab
from tests.support.lying_provider import LyingProvider
from unexpired import AsyncClient, SignInFailed, UnexpiredError, Unreachable


@pytest.fixture
def tab(machine: Machine) -> Tab:
    return Tab(machine.person)


async def test_a_person_signs_in_and_is_back_where_they_were(machine: Machine, tab: Tab) -> None:
    tab.address = f"{PAGE}/orders?page=2#/7"
    client = await machine.sign_in(tab)
    assert client.state == "active"
    assert client.user is not None
    assert client.user["sub"] == "ada"
    assert tab.shown == ["/app/orders?page=2#/7"]


async def test_code_and_state_are_out_of_the_address_bar_before_anything_is_sent(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    await machine.leave(machine.open(tab).sign_in(), tab)
    assert "code=" in tab.address
    machine.open(tab)
    assert tab.address == CALLBACK
    assert not liar.requests["/token"]


async def test_the_draft_comes_back_once(machine: Machine, tab: Tab) -> None:
    await machine.leave(machine.open(tab, draft=lambda: "half a sent").sign_in(), tab)
    client = await machine.open(tab).ready()
    assert client.take_draft() == "half a sent"
    assert client.take_draft() == ""


async def test_a_reload_after_the_answer_was_used_changes_nothing(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    await machine.leave(machine.open(tab).sign_in(), tab)
    answer = tab.address
    await machine.open(tab).ready()
    tab.address = answer
    client = await machine.open(tab).ready()
    assert client.state == "active"
    assert liar.requests["/token"] == 1


async def test_a_forged_answer_signs_nobody_in(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    tab.address = f"{CALLBACK}?code=stolen&state=ux1.{'a' * 43}&iss={liar.issuer}"
    client = machine.open(tab)
    with pytest.raises(SignInFailed) as failure:
        await client.ready()
    assert failure.value.code == "UNKNOWN_SIGN_IN"
    assert client.state == "anonymous"
    assert tab.address == CALLBACK
    assert not liar.requests["/token"]


async def test_a_sign_in_of_another_tab_cannot_be_finished_here(machine: Machine, tab: Tab) -> None:
    await machine.leave(machine.open(tab).sign_in(), tab)
    other = Tab(machine.person, tab.address)
    with pytest.raises(SignInFailed, match="sign in"):
        await machine.open(other).ready()


async def test_two_tabs_sign_in_at_once(machine: Machine, tab: Tab, liar: LyingProvider) -> None:
    other = Tab(machine.person)
    await machine.leave(machine.open(tab).sign_in(), tab)
    await machine.leave(machine.open(other).sign_in(), other)
    first = await machine.open(tab).ready()
    second = await machine.open(other).ready()
    await first.ready()
    assert first.state == second.state == "active"
    assert not liar.requests["/revoke"]  # It would end the grant of both.


async def test_an_answer_to_either_of_two_sign_ins_of_one_tab_counts(
    machine: Machine, tab: Tab
) -> None:
    """The person presses twice, or goes Back and presses again: the answer is to either."""
    await machine.leave(machine.open(tab).sign_in(), tab)
    first, tab.address = tab.address, PAGE
    await machine.leave(machine.open(tab).sign_in(), tab)
    tab.address = first
    client = await machine.open(tab).ready()
    assert client.state == "active"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"error": "access_denied", "code": None}, "access_denied"),
        ({"error": "login_required", "code": None}, "login_required"),
        ({"code": None}, "BAD_ANSWER"),
        ({"code": ["one", "two"]}, "BAD_ANSWER"),
        ({"iss": "https://other.example"}, "PROVIDER_MISMATCH"),
        ({"iss": None}, "PROVIDER_MISMATCH"),
    ],
)
async def test_an_answer_that_is_wrong_gets_nothing(
    machine: Machine, tab: Tab, liar: LyingProvider, answer: dict[str, Any], code: str
) -> None:
    liar.answer = answer
    await machine.leave(machine.open(tab).sign_in(), tab)
    if "code=" not in tab.address and "error=" not in tab.address:
        tab.address += "&code="
    client = machine.open(tab)
    with pytest.raises(SignInFailed) as failure:
        await client.ready()
    assert failure.value.code == code
    assert client.state == "anonymous"
    assert not liar.requests["/token"]


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "other"},
        {"aud": ["spa", "other"]},
        {"azp": "other"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"sub": ""},
    ],
)
async def test_an_id_token_that_lies_begins_no_session(
    machine: Machine, tab: Tab, liar: LyingProvider, claims: dict[str, Any]
) -> None:
    liar.claims = claims
    await _is_refused(machine, tab, "UNTRUSTED_TOKEN")


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_an_id_token_without_a_signature_begins_no_session(
    machine: Machine, tab: Tab, liar: LyingProvider, algorithm: str
) -> None:
    liar.algorithm = algorithm
    await _is_refused(machine, tab, "UNTRUSTED_TOKEN")


async def test_a_missing_id_token_begins_no_session(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    liar.tokens = {"id_token": None}
    await _is_refused(machine, tab, "UNTRUSTED_TOKEN")


async def test_a_code_that_is_used_up_is_no_wrong_password(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    liar.fail("/token", 400, "invalid_grant")
    error = await _is_refused(machine, tab, "invalid_grant")
    assert "password" not in str(error)


async def _is_refused(machine: Machine, tab: Tab, code: str) -> SignInFailed:
    await machine.leave(machine.open(tab).sign_in(), tab)
    client = machine.open(tab)
    with pytest.raises(SignInFailed) as failure:
        await client.ready()
    assert failure.value.code == code
    assert client.state == "anonymous"
    assert machine.store.load() is None
    return failure.value


async def test_an_outage_at_the_end_can_be_repeated(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    tab.address = f"{PAGE}#/typing"
    await machine.leave(machine.open(tab, draft=lambda: "half").sign_in(), tab)
    liar.fail("/token", 503)
    client = machine.open(tab)
    with pytest.raises(Unreachable):
        await client.ready()
    liar.answers.clear()
    client = await machine.sign_in(tab)
    assert client.state == "active"
    assert tab.shown == ["/app#/typing"]
    assert client.take_draft() == "half"


async def test_a_provider_that_cannot_be_found_is_in_the_diagnosis(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    """As of a page whose origin the provider does not know."""
    liar.fail(liar.discovery, 400)
    client = machine.open(tab)
    with pytest.raises(Unreachable):
        await client.sign_in()
    (failure,) = client.diagnose()["last_failures"]
    assert failure["url"] == f"{liar.issuer}{liar.discovery}"
    assert "Provider.issuer" in failure["reason"]


# -- At the end of a session -----------------------------------------------------------------------


async def test_a_request_without_a_session_leaves_for_the_provider(
    machine: Machine, tab: Tab
) -> None:
    await machine.leave(_asked(machine.open(tab)), tab)
    client = await machine.open(tab).ready()
    assert client.state == "active"


async def test_a_page_is_not_sent_to_and_fro(machine: Machine, tab: Tab) -> None:
    """The API refuses whatever the provider issues: the person must not be caught in a circle."""
    await machine.leave(_asked(machine.open(tab)), tab)
    client = await machine.open(tab).ready()
    client._manager.session.expire(client._manager.session.require().generation, "INVALID_TOKEN")  # noqa: SLF001
    client._manager.commit()  # noqa: SLF001
    await asyncio.sleep(0)
    await _asked(client)
    assert len(tab.left_for) == 1


async def test_after_a_sign_out_the_page_stays(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    client = await machine.sign_in(tab)
    await client.sign_out()
    assert tab.left_for[-1].startswith(f"{liar.issuer}/logout?")
    assert "id_token_hint=" in tab.left_for[-1]
    assert liar.requests["/revoke"] == 1
    await _asked(client)
    assert len(tab.left_for) == 2


async def test_a_hidden_page_waits_until_it_is_seen(machine: Machine, tab: Tab) -> None:
    is_seen = False
    client = machine.open(tab, is_watched=lambda: is_seen)
    await _asked(client)
    await asyncio.sleep(0)
    assert tab.left_for == []
    is_seen = True
    client.wake(resume=True)
    await tab.follow()


async def _asked(client: AsyncClient) -> None:
    """Ask the API for something."""
    with suppress(UnexpiredError):
        await client.get("/api/orders")
