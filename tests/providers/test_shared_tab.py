"""What a tab keeps, after a sign-in that failed, and when another person signs in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.providers.places import CALLBACK, PAGE, Machine, Tab
from tests.support.lying_provider import LyingProvider
from unexpired import AsyncClient, Client, SignInFailed, UnexpiredError, Unreachable
from unexpired.messages import Response
from unexpired.ports import MemoryPending

TEXT = "dear diary"


@pytest.fixture
def tab(machine: Machine) -> Tab:
    return Tab(machine.person)


async def _asked(client: AsyncClient) -> None:
    """Ask the API for something."""
    with suppress(UnexpiredError):
        await client.get("/api/orders")


async def _left_with_a_draft(machine: Machine, tab: Tab) -> None:
    """Let a session expire while its person is typing; the tab is back from the provider."""
    await machine.sign_in(tab)
    tab.pending.remove("left")
    client = machine.open(tab, draft=lambda: TEXT)
    await client.ready()
    client._manager.session.expire(client._manager.session.require().generation, "TOKEN_EXPIRED")  # noqa: SLF001
    await machine.leave(_commit(client), tab)


async def _commit(client: AsyncClient) -> None:
    client._manager.commit()  # noqa: SLF001


# -- Drafts ----------------------------------------------------------------------------------------


async def test_a_draft_is_not_given_to_another_person(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    await _left_with_a_draft(machine, tab)
    liar.subject = "bob"
    client = await machine.open(tab).ready()
    assert client.user is not None
    assert client.user["sub"] == "bob"
    assert client.take_draft() == ""
    assert TEXT not in str(vars(tab.pending))


async def test_a_draft_is_given_to_the_same_person(machine: Machine, tab: Tab) -> None:
    await _left_with_a_draft(machine, tab)
    client = await machine.open(tab).ready()
    assert client.take_draft() == TEXT


async def test_a_draft_waits_for_its_person_and_is_not_another_ones_on_the_way(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    await _left_with_a_draft(machine, tab)
    liar.fail("/token", 503)
    client = machine.open(tab)
    with pytest.raises(Unreachable):
        await client.ready()
    assert client.take_draft() == "", "nobody is signed in"
    liar.answers.clear()
    liar.subject = "bob"
    client = await machine.sign_in(tab)
    assert client.take_draft() == ""


async def test_a_draft_that_waited_is_there_after_another_try(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    await _left_with_a_draft(machine, tab)
    liar.fail("/token", 503)
    with pytest.raises(Unreachable):
        await machine.open(tab).ready()
    liar.answers.clear()
    client = await machine.sign_in(tab)
    assert client.take_draft() == TEXT


async def test_a_sign_out_forgets_the_draft(machine: Machine, tab: Tab) -> None:
    await _left_with_a_draft(machine, tab)
    client = await machine.open(tab).ready()
    await client.sign_out()
    assert client.take_draft() == ""


def _broken() -> str:
    raise KeyError("a secret")


@pytest.mark.parametrize("draft", [lambda: None, lambda: {"text": "half"}, _broken])
@pytest.mark.parametrize("is_asked", [True, False])
async def test_a_draft_that_is_none_keeps_nobody_from_signing_in(
    machine: Machine,
    tab: Tab,
    caplog: pytest.LogCaptureFixture,
    draft: Callable[[], Any],
    *,
    is_asked: bool,
) -> None:
    client = machine.open(tab, draft=draft)
    await machine.leave(client.sign_in() if is_asked else _asked(client), tab)
    client = await machine.open(tab).ready()
    assert client.state == "active"
    assert client.take_draft() == ""
    assert "secret" not in caplog.text


class SmallPending(MemoryPending):
    """A tab's storage with room for short texts."""

    def put(self, state: str, text: str) -> None:
        if len(text) > 5_000:
            raise SignInFailed("NO_STORAGE")
        super().put(state, text)


async def test_a_draft_that_is_too_long_is_lost_and_the_person_signs_in(
    machine: Machine, tab: Tab, caplog: pytest.LogCaptureFixture
) -> None:
    tab.pending = SmallPending()
    await machine.leave(machine.open(tab, draft=lambda: "x" * 10_000).sign_in(), tab)
    client = await machine.open(tab).ready()
    assert client.state == "active"
    assert "too long" in caplog.text


# -- A sign-in while somebody is signed in ---------------------------------------------------------


@pytest.mark.parametrize("failure", ["answer", "token", "outage"])
async def test_who_is_signed_in_stays_so_when_another_sign_in_fails(
    machine: Machine, tab: Tab, liar: LyingProvider, failure: str
) -> None:
    await machine.sign_in(tab)
    tab.address = f"{PAGE}#/orders"
    if failure == "answer":
        liar.answer = {"error": "access_denied", "code": None}
    await machine.leave(machine.open(tab).sign_in(prompt="login"), tab)
    if failure != "answer":
        liar.fail("/token", *((400, "invalid_grant") if failure == "token" else (503,)))
    client = await machine.open(tab).ready()
    assert client.state == "active"
    assert tab.shown[-1] == "/app#/orders"


# -- On the way there and back ---------------------------------------------------------------------


async def test_an_address_that_cannot_be_returned_to_is_not_loaded(
    machine: Machine, tab: Tab
) -> None:
    tab.address = f"{PAGE}#/a\\b"
    client = await machine.sign_in(tab)
    assert client.state == "active"
    assert tab.shown == []


@pytest.mark.parametrize(
    ("here", "shown"), [(f"{PAGE}/orders", []), (f"{CALLBACK}#/orders", ["/callback#/orders"])]
)
async def test_a_session_in_memory_is_not_lost_by_the_way_back(
    machine: Machine, tab: Tab, here: str, shown: list[str]
) -> None:
    machine.options["storage"] = "memory"
    tab.address = here
    await machine.sign_in(tab)
    assert tab.shown == shown


async def test_a_request_that_does_not_wait_for_the_answer_does_not_leave_again(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    await machine.leave(machine.open(tab).sign_in(), tab)
    client = machine.open(tab)
    with pytest.raises(UnexpiredError):
        Client(_Nowhere(), session_of=client).get(f"{liar.url}/api/orders")
    await asyncio.sleep(0)
    assert tab.pending.get("left") is None
    await client.ready()
    assert client.state == "active"


class _Nowhere:
    def send(self, request: object, timeout: float | None = None) -> Response:  # noqa: ARG002
        raise Unreachable


class _GivenUp:
    """A page that is shown again, because the person went Back."""

    def __init__(self, tab: Tab, redirect_uri: str) -> None:
        self._tab = tab
        self.redirect_uri = redirect_uri

    async def visit(self, url: str) -> str:
        self._tab.left_for.append(url)
        raise SignInFailed("ABANDONED")

    def close(self) -> None:
        """Do nothing."""


async def test_the_way_back_from_the_provider_does_not_lead_there_again(
    machine: Machine, tab: Tab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tab, "window", lambda uri, popup: _GivenUp(tab, uri))  # noqa: ARG005
    client = machine.open(tab)
    for _ in range(2):
        await _asked(client)
        async with asyncio.timeout(10):
            while "did not begin" not in caplog.text:
                await asyncio.sleep(0.01)
        for _ in range(10):
            await asyncio.sleep(0)
    assert len(tab.left_for) == 1


# -- Words of the provider's -----------------------------------------------------------------------


async def test_an_error_that_is_no_code_is_shown_nowhere(
    machine: Machine, tab: Tab, liar: LyingProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    liar.fail("/token", 400, "bad\ncode: s3cret")
    await machine.leave(machine.open(tab).sign_in(), tab)
    client = machine.open(tab)
    with pytest.raises(SignInFailed) as failure:
        await client.ready()
    assert failure.value.code == "BAD_ANSWER"
    assert "s3cret" not in f"{caplog.text}{failure.value!r}{failure.value.__notes__}"
    assert "s3cret" not in str(client.diagnose())
