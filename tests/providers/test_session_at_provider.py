"""A page's session at a provider: its end, its sign-out, who signs in next, and what is shown."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.providers.places import CALLBACK, PAGE, Machine, Tab, awaited
from tests.support.clock import FakeClock
from tests.support.fake_server import API, SyncFakeServer
from tests.support.lying_provider import DESCRIPTION, LyingProvider
from tests.support.person_with_browser import PersonWithBrowser
from unexpired import AsyncClient, Client, MemoryStore, SignInFailed, UnexpiredError
from unexpired.oidc import Provider

HERE = "/app#/orders"


@pytest.fixture
def tab(machine: Machine) -> Tab:
    return Tab(machine.person, f"{PAGE}#/orders")


async def _asked(client: AsyncClient) -> None:
    """Ask the API for something."""
    with suppress(UnexpiredError):
        await client.get("/api/orders")


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def _query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


# -- At the end ------------------------------------------------------------------------------------


async def test_a_page_without_a_refresh_token_leaves_when_its_token_expires(
    machine: Machine, tab: Tab, liar: LyingProvider, caplog: pytest.LogCaptureFixture
) -> None:
    liar.tokens, liar.access_ttl = {"refresh_token": None}, 1
    client = await machine.sign_in(tab)
    assert client.user is not None
    assert "gave no refresh token" in caplog.text
    liar.tokens, liar.access_ttl = {}, 300
    await tab.follow()
    assert client.state == "expired"
    again = await machine.open(tab).ready()
    assert again.state == "active"
    assert tab.shown == [HERE, HERE]


async def test_a_page_with_a_sign_in_page_of_its_own_shows_that_and_comes_back_to_where_it_was(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    machine.options["login_url"] = "/sign-in"
    liar.tokens, liar.access_ttl = {"refresh_token": None}, 1
    client = await machine.sign_in(tab)
    liar.tokens, liar.access_ttl = {}, 300
    await _until(lambda: client.state == "expired")
    assert tab.here() == "/sign-in?next=%2Fapp%23%2Forders&reason=expired"
    assert len(tab.left_for) == 1
    await machine.leave(client.sign_in(), tab)
    await machine.open(tab).ready()
    assert tab.shown[-1] == HERE


@pytest.mark.parametrize("login_url", ["", "#/login"])
async def test_a_page_that_only_listens_stays(
    machine: Machine, tab: Tab, liar: LyingProvider, login_url: str
) -> None:
    machine.options |= {"on_expired": "event", "login_url": login_url}
    liar.tokens, liar.access_ttl = {"refresh_token": None}, 1
    client = await machine.sign_in(tab)
    codes = list[str]()
    client.on("expired", codes.append)
    await _until(lambda: codes)
    await _asked(client)
    assert codes == ["TOKEN_EXPIRED"]
    assert tab.here() == HERE
    assert len(tab.left_for) == 1


async def test_a_refusal_leads_to_the_provider_once(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    client = await machine.sign_in(tab)
    tab.pending.remove("left")
    liar.fail("/token", 400, "invalid_grant")
    liar.fail("/api/orders", 401, "invalid_token")
    await machine.leave(asyncio.gather(*[_asked(client) for _ in range(3)]), tab)
    assert client.state == "expired"
    assert len(tab.left_for) == 2


# -- Sign-out --------------------------------------------------------------------------------------


async def test_a_sign_out_in_one_tab_sends_no_other_to_the_provider(
    machine: Machine, tab: Tab
) -> None:
    """There the person may still be signed in, and would be so again at once."""
    other = Tab(machine.person)
    client, elsewhere = await machine.sign_in(tab), await machine.open(other).ready()
    assert elsewhere.user is not None
    await client.sign_out()
    elsewhere.wake(resume=True)
    assert elsewhere.state == "anonymous"
    await _asked(elsewhere)
    assert [*elsewhere._background] == []  # noqa: SLF001 - It is not on its way there either.
    assert other.left_for == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"post_logout_redirect_uri": CALLBACK}),
        ({"post_logout_redirect_uri": "/bye"}, {"post_logout_redirect_uri": f"{PAGE[:-4]}/bye"}),
        ({"logout": "logout_uri"}, {"logout_uri": CALLBACK}),
        ({"logout": "returnTo"}, {"returnTo": CALLBACK}),
    ],
)
async def test_a_sign_out_visits_the_provider_in_its_own_words(
    machine: Machine, tab: Tab, liar: LyingProvider, options: Any, expected: dict[str, str]
) -> None:
    machine.provider = replace(machine.provider, **options)
    await machine.sign_in(tab)
    reloaded = machine.open(tab)  # The ID token is in the record, for the hint.
    await reloaded.sign_out()
    url = tab.left_for[-1]
    assert url.startswith(f"{liar.issuer}/logout?")
    asked = _query(url)
    is_standard = "post_logout_redirect_uri" in expected
    assert (asked.pop("id_token_hint", None) is not None) == is_standard
    assert asked == {"client_id": "spa", **expected}
    assert liar.requests["/revoke"] == 1
    assert machine.store.load() is None


async def test_a_sign_out_need_not_visit_the_provider(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    machine.provider = replace(machine.provider, post_logout_redirect_uri=None)
    client = await machine.sign_in(tab)
    await client.sign_out()
    assert len(tab.left_for) == 1
    assert liar.requests["/revoke"] == 1


async def test_a_provider_that_is_down_does_not_keep_a_person_signed_in(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    client = await machine.sign_in(tab)
    liar.fail("/revoke", 503)
    await client.sign_out()
    assert client.state == "anonymous"
    assert machine.store.load() is None
    liar.answers.clear()
    before = liar.requests["/revoke"]
    client.wake(resume=True)  # The network is back: the provider learns of it.
    await _until(lambda: liar.requests["/revoke"] == before + 1)


# -- Who signs in next -----------------------------------------------------------------------------


async def test_a_person_who_signs_in_again_keeps_what_the_provider_has_of_them(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    await machine.sign_in(tab)
    client = await machine.sign_in(tab)
    await client.refresh()
    client.wake(resume=True)  # What is left to report is reported now.
    assert client._manager.session.unreported == []  # noqa: SLF001
    assert not liar.requests["/revoke"]  # It would end the grant of both sessions.


async def test_the_tokens_of_who_was_there_before_are_revoked(
    machine: Machine, tab: Tab, liar: LyingProvider
) -> None:
    before = await machine.sign_in(tab)
    token = before._manager.session.require().tokens.refresh_token  # noqa: SLF001
    liar.subject = "grace"
    client = await machine.sign_in(tab)
    assert client.user is not None
    assert client.user["sub"] == "grace"
    await _until(lambda: liar.requests["/revoke"])
    assert [one["token"] for one in liar.forms("/revoke")] == [token]


# -- Mistakes of the application -------------------------------------------------------------------


async def test_a_password_and_a_provider_do_not_go_together(machine: Machine, tab: Tab) -> None:
    with pytest.raises(TypeError, match="at the provider"):
        await machine.open(tab).sign_in("ada", "pw")
    server = SyncFakeServer(FakeClock())
    with pytest.raises(TypeError, match="or the client a provider"):
        Client(server, base_url=API).sign_in()


async def test_a_word_that_sign_in_does_not_know_is_named(machine: Machine, tab: Tab) -> None:
    with pytest.raises(TypeError, match="'otp'"):
        await machine.open(tab).sign_in(otp="1")
    with pytest.raises(TypeError, match="'popup'"):
        Client.on_desktop(
            base_url="https://api.example", provider=machine.provider, store=MemoryStore()
        ).sign_in(popup=True)


async def test_what_is_only_for_a_provider_says_so() -> None:
    for kind in (AsyncClient, Client):
        client: Any = kind.on_desktop(base_url="https://api.example", store=MemoryStore())
        with pytest.raises(TypeError, match="provider"):
            await awaited(client.userinfo)


def test_the_cookie_is_for_this_project_s_own_server(machine: Machine, tab: Tab) -> None:
    with pytest.raises(ValueError, match="not a provider"):
        machine.open(tab, storage="cookie")


# -- A program without a browser of its own --------------------------------------------------------


@pytest.mark.usefixtures("home")
async def test_a_program_may_show_the_address_itself(
    liar: LyingProvider, system_browser: PersonWithBrowser
) -> None:
    provider = Provider(issuer=liar.issuer, client_id="native")
    client = AsyncClient.on_desktop(base_url=liar.url, provider=provider)
    shown = list[str]()

    def show(url: str) -> None:
        shown.append(url)
        threading.Thread(target=system_browser.open, args=[url], daemon=True).start()

    await client.sign_in(popup=show)
    assert client.state == "active"
    assert system_browser.opened == shown
    assert shown[0].startswith(f"{liar.issuer}/authorize?")


# -- What nobody may see ---------------------------------------------------------------------------


async def test_nothing_shows_a_secret(
    machine: Machine, tab: Tab, liar: LyingProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "unexpired")
    seen: list[Any] = [machine.provider]
    errors = list[BaseException]()

    async def fails(awaitable: Any) -> None:
        with pytest.raises(UnexpiredError) as error:
            await awaitable
        errors.append(error.value)

    # Sign-ins that the provider refuses, or that are not to be trusted.
    changes: tuple[dict[str, Any], ...] = (
        {"answer": {"error": "access_denied", "code": None}},
        {"answer": {"iss": "https://other.example"}},
        {"answer": {"code": ["one", "two"]}},
        {"claims": {"nonce": "another"}},
        {"claims": {"aud": "other"}},
        {"tokens": {"access_token": None}},
        {"tokens": {"id_token": None}},
        {"answers": {"/token": (400, {}, b'{"error": "invalid_grant", "error_description": "x"}')}},
        {"answers": {"/token": (503, {}, b"Down.")}},
        {"answers": {"/token": (200, {}, b"<html>")}},
    )
    for change in changes:
        for name, value in change.items():
            setattr(liar, name, value)
        await machine.leave(machine.open(tab).sign_in(hint="ada@example.com"), tab)
        client = machine.open(tab)
        seen.append(client)
        await fails(client.ready())
        liar.answer, liar.claims, liar.tokens, liar.answers = {}, {}, {}, {}

    client = await machine.sign_in(tab)
    seen += [client, client._manager.session.record, client._manager.options]  # noqa: SLF001
    answer = f"{CALLBACK}?code=stolen&state={_query(tab.left_for[-1])['state']}"
    machine.store.clear()
    tab.address = answer
    await fails(machine.open(tab).ready())

    client = await machine.sign_in(tab)
    liar.user = {"sub": "mallory"}
    await fails(client.userinfo())
    liar.fail("/token", 400, "unauthorized_client")
    await fails(client.refresh())
    liar.fail("/token", 400, "invalid_grant")
    client._manager.session.resume()  # noqa: SLF001
    await fails(client.refresh())
    seen.append(client)
    await client.sign_out()

    secrets = {*liar._grants}  # noqa: SLF001 - each code and token that it has issued
    for url in tab.left_for:
        asked = _query(url)
        secrets |= {asked[name] for name in ("state", "nonce", "id_token_hint") if name in asked}
    for form in liar.forms("/token"):
        secrets |= {
            form[name] for name in ("code", "code_verifier", "refresh_token") if name in form
        }
    assert len(secrets) > 40
    secrets |= {DESCRIPTION, "stolen"}

    texts = [repr(one) for one in seen] + [text for error in errors for text in _shown(error)]
    texts += [str(each.diagnose()) for each in machine.clients]
    texts += [f"{record.__dict__}" for record in caplog.records if record.name == "unexpired"]
    assert len(texts) > 100
    assert {secret for secret in secrets for text in texts if secret in text} == set()


def _shown(error: BaseException) -> Iterator[str]:
    """Yield everything that a log or a crash report has of an error and of what led to it."""
    yield from traceback.format_exception(error)
    yield from (repr(error), str(error), *getattr(error, "__notes__", []))
    yield from (repr(value) for value in vars(error).values() if not isinstance(value, dict))
    yield pickle.dumps(error).decode("latin-1")
    if isinstance(error, SignInFailed):
        yield error.code
