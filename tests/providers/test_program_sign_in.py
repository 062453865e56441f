"""Programs sign in at real providers, in the system's browser or by the device grant."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.providers.places import API, CALLBACK, awaited
from tests.support import django_provider
from tests.support.django_provider import DjangoProvider
from tests.support.form_browser import FormBrowser
from tests.support.lying_provider import LyingProvider
from tests.support.oidc_provider import CLIENT_SECRETS, OidcProvider
from tests.support.person_with_browser import PersonWithBrowser
from tests.support.raw_client import RawClient
from tests.support.verifying_api import VerifyingApi
from unexpired import AsyncClient, BadReply, Client, NotSignedIn, SignInFailed
from unexpired.oidc import Provider
from unexpired.oidc.device import DevicePrompt
from unexpired.ports import SystemClock

SCOPE = "openid profile offline_access notes"
DEADLINE = 20.0

pytestmark = pytest.mark.usefixtures("home", "system_browser")


def at_npm(npm: OidcProvider, client_id: str = "native", **options: Any) -> Provider:
    """Return oidc-provider of npm, which gives a refresh token only with consent."""
    given = {"scope": SCOPE, "resource": API, "prompt": "consent"}
    return Provider(issuer=npm.issuer, client_id=client_id, **{**given, **options})


def stored_in(home: Path) -> list[str]:
    """Return the sessions that programs have stored."""
    return [path.read_text() for path in home.glob("*.json")]


class HurriedClock(SystemClock):
    """The device's clock, for which pauses take no time, and nothing else takes any.

    Args:
        *steps: What else happens in each pause.
    """

    def __init__(self, *steps: Callable[[], object] | None) -> None:
        self._steps = [*steps]
        self._began = super().monotonic()
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self._began + sum(self.pauses)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        step = self._steps.pop(0) if self._steps else None
        if step is not None:
            step()


Start = Callable[..., Any]


@pytest.fixture(params=[AsyncClient, Client], ids=["async", "sync"])
def start(request: pytest.FixtureRequest, npm: OidcProvider, api: VerifyingApi) -> Start:
    """Return what starts the program, which is the same each time."""

    def start(client_id: str = "native", **options: Any) -> Any:
        given = {"base_url": api.url, "provider": at_npm(npm, client_id), **options}
        return request.param.on_desktop(**given)

    return start


# -- In the system's browser -----------------------------------------------------------------------


async def test_a_program_signs_in_in_the_system_s_browser(
    start: Start, system_browser: PersonWithBrowser
) -> None:
    client = start()
    await awaited(client.sign_in, hint="ada")
    assert client.state == "active"
    assert client.user.items() >= {"sub": "ada", "name": "Name of ada", "scopes": ["notes"]}.items()
    assert (await awaited(client.get, "/me")).json() == {"id": "ada", "scopes": ["notes"]}
    assert "login_hint=ada" in system_browser.opened[0]
    assert "You are signed in" in system_browser.shown


async def test_calls_go_on_across_expiries(
    start: Start, npm: OidcProvider, api: VerifyingApi
) -> None:
    npm.change(access_ttl=2)
    client = start()
    await awaited(client.sign_in)
    first, refreshed = await awaited(client.token), list[float]()
    client.on("refreshed", lambda: refreshed.append(client.expires_in))
    async with asyncio.timeout(DEADLINE):
        while len(refreshed) < 3:
            response = await awaited(client.get, "/me")
            assert response.json() == {"id": "ada", "scopes": ["notes"]}
            await asyncio.sleep(0.05)
        while (refusal := api.refusal_of(first)) == "":
            await asyncio.sleep(0.05)
    assert refusal == "TOKEN_EXPIRED"
    grants = [one.get("grant") for one in npm.log() if one["path"] == "/token"]
    assert grants == ["authorization_code", *["refresh_token"] * len(refreshed)]


async def test_a_sign_out_revokes_and_leaves_nothing_behind(
    start: Start, npm: OidcProvider, home: Path
) -> None:
    client = start()
    await awaited(client.sign_in)
    refresh_token = client._manager.session.record.tokens.refresh_token  # noqa: SLF001
    assert refresh_token in stored_in(home)[0]
    npm.log()
    await awaited(client.sign_out)
    assert client.state == "anonymous"
    assert stored_in(home) == []
    raw = RawClient(npm.metadata, "native")
    assert raw.refresh(refresh_token).json()["error"] == "invalid_grant"
    assert "/token/revocation" in [one["path"] for one in npm.log()]
    with pytest.raises(NotSignedIn):
        await awaited(client.get, "/me")


async def test_a_revoked_opaque_token_is_inactive_at_once(start: Start, npm: OidcProvider) -> None:
    client = start(provider=at_npm(npm, resource=f"{API}/opaque"))
    await awaited(client.sign_in)
    token = await awaited(client.token)
    audience = RawClient(npm.metadata, "api", secret=CLIENT_SECRETS["api"])
    assert audience.introspect(token).json()["active"]
    await awaited(client.sign_out)
    assert audience.introspect(token).json() == {"active": False}


async def test_a_person_who_refuses_is_not_signed_in(
    start: Start, person: FormBrowser, home: Path
) -> None:
    person.refuses = True
    client = start()
    with pytest.raises(SignInFailed) as failure:
        await awaited(client.sign_in)
    assert failure.value.code == "access_denied"
    assert client.state == "anonymous"
    assert stored_in(home) == []


async def test_userinfo_is_asked_with_a_token_for_the_provider(
    start: Start, npm: OidcProvider
) -> None:
    client = start(provider=at_npm(npm, resource="", scope="openid profile offline_access"))
    await awaited(client.sign_in)
    assert (await awaited(client.userinfo))["preferred_username"] == "ada"


async def test_userinfo_says_why_a_token_for_an_api_is_refused(start: Start) -> None:
    client = start()
    await awaited(client.sign_in)
    with pytest.raises(BadReply) as refusal:
        await awaited(client.userinfo)
    assert "resource" in "".join(refusal.value.__notes__)
    assert client.state == "active"


async def test_a_bound_session_proves_its_key_with_the_nonces_of_the_provider(
    start: Start, npm: OidcProvider, api: VerifyingApi
) -> None:
    npm.change(access_ttl=2)
    client = start(provider=at_npm(npm, "native-dpop", dpop=True))
    await awaited(client.sign_in)
    assert client.diagnose()["bound"]
    refreshed = list[int]()
    client.on("refreshed", lambda: refreshed.append(1))
    async with asyncio.timeout(DEADLINE):
        while len(refreshed) < 2:
            assert (await awaited(client.get, "/me")).json()["id"] == "ada"
            await asyncio.sleep(0.05)
    token = await awaited(client.token)
    assert api.refusal_of(token) == "INVALID_PROOF"
    statuses = [one["status"] for one in npm.log() if one.get("grant") == "refresh_token"]
    assert statuses.count(400) <= 1  # A nonce is kept for the next refresh.


# -- By the device grant ---------------------------------------------------------------------------


class Shown(NamedTuple):
    """What a program shows, and the person who reads it."""

    person: FormBrowser
    prompts: list[DevicePrompt]

    def agree(self) -> None:
        """Enter the code on another device."""
        self.person.visit(self.prompts[-1].verification_uri_complete)

    def refuse(self) -> None:
        """Enter the code, and cancel."""
        self.person.refuses = True
        with pytest.raises(AssertionError):  # The provider's last page is an error.
            self.agree()


@pytest.fixture
def shown(person: FormBrowser) -> Shown:
    return Shown(person, [])


async def test_a_program_that_awaits_signs_in_by_another_device(
    npm: OidcProvider, api: VerifyingApi, shown: Shown
) -> None:
    client = AsyncClient.on_desktop(base_url=api.url, provider=at_npm(npm, "device"))

    def show(prompt: DevicePrompt) -> None:
        shown.prompts.append(prompt)
        shown.agree()

    await client.sign_in(device=show)
    assert (await client.get("/me")).json()["id"] == "ada"


async def test_a_program_that_awaits_may_await_to_show_the_code(
    npm: OidcProvider, api: VerifyingApi, shown: Shown
) -> None:
    client = AsyncClient.on_desktop(base_url=api.url, provider=at_npm(npm, "device"))

    async def show(prompt: DevicePrompt) -> None:
        await asyncio.sleep(0)
        shown.prompts.append(prompt)
        shown.agree()

    await client.sign_in(device=show)
    assert client.state == "active"


def test_a_program_that_blocks_cannot_await(npm: OidcProvider, api: VerifyingApi) -> None:
    """The coroutine would never run, and the person see nothing."""
    client = Client.on_desktop(base_url=api.url, provider=at_npm(npm, "device"))

    async def show(_: DevicePrompt) -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="AsyncClient"):
        client.sign_in(device=show)


def test_a_program_that_blocks_waits_for_another_device(
    npm: OidcProvider, api: VerifyingApi, shown: Shown, caplog: pytest.LogCaptureFixture
) -> None:
    clock = HurriedClock(None, None, shown.agree)
    provider = at_npm(npm, "device")
    client = Client.on_desktop(base_url=api.url, provider=provider, clock=clock)
    with caplog.at_level(logging.WARNING, "unexpired"):
        client.sign_in(device=shown.prompts.append)
    assert client.get("/me").json()["id"] == "ada"
    assert [one.get("error") for one in npm.log() if one["path"] == "/token"] == [
        *["authorization_pending"] * 2,
        None,
    ]
    assert caplog.messages == []  # Nothing is wrong while a person has not decided yet.
    assert client.diagnose()["last_failures"] == []


def test_a_person_may_refuse_on_the_other_device(
    npm: OidcProvider, api: VerifyingApi, shown: Shown
) -> None:
    clock = HurriedClock(shown.refuse)
    client = Client.on_desktop(base_url=api.url, provider=at_npm(npm, "device"), clock=clock)
    with pytest.raises(SignInFailed) as failure:
        client.sign_in(device=shown.prompts.append)
    assert failure.value.code == "access_denied"
    assert client.state == "anonymous"


def test_a_code_that_nobody_enters_ends_in_time(npm: OidcProvider, api: VerifyingApi) -> None:
    clock = HurriedClock()
    client = Client.on_desktop(base_url=api.url, provider=at_npm(npm, "device"), clock=clock)
    with pytest.raises(SignInFailed) as failure:
        client.sign_in(device=lambda _: None)
    assert failure.value.code == "SIGN_IN_TIMED_OUT"
    assert 600 <= sum(clock.pauses) < 610


def at_liar(liar: LyingProvider, **options: Any) -> Provider:
    return Provider(issuer=liar.issuer, client_id="device", redirect_uri=CALLBACK, **options)


def test_a_device_asks_less_often_when_the_provider_says_so(liar: LyingProvider) -> None:
    clock = HurriedClock()
    client = Client.on_desktop(base_url=liar.url, provider=at_liar(liar), clock=clock)
    liar.device_answers = ["authorization_pending", "slow_down", "authorization_pending"]
    client.sign_in(device=lambda _: None)
    assert clock.pauses == [1, 1, 6, 6]
    assert client.user == {"sub": "ada", "name": "Ada", "email": "ada@example.com"} | {
        "iss": liar.issuer
    }


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_outage_does_not_end_the_wait_for_another_device(
    liar: LyingProvider, status: int
) -> None:
    liar.fail("/token", status, **{"Retry-After": "30"})
    clock = HurriedClock(None, liar.answers.clear)
    client = Client.on_desktop(base_url=liar.url, provider=at_liar(liar), clock=clock)
    client.sign_in(device=lambda _: None)
    assert client.state == "active"
    assert clock.pauses == [1, 30]


def test_a_device_says_what_is_wrong_with_an_id_token(liar: LyingProvider) -> None:
    liar.claims = {"aud": "other"}
    client = Client.on_desktop(base_url=liar.url, provider=at_liar(liar), clock=HurriedClock())
    with pytest.raises(SignInFailed) as failure:
        client.sign_in(device=lambda _: None)
    assert failure.value.code == "UNTRUSTED_TOKEN"
    assert "aud" in "".join(failure.value.__notes__)
    assert client.state == "anonymous"


# -- At a provider of another make -----------------------------------------------------------------


@pytest.fixture(scope="module")
def django() -> Iterator[DjangoProvider]:
    with DjangoProvider("http://127.0.0.1:9", [CALLBACK], access_ttl=2) as provider:
        yield provider


@pytest.fixture
def django_user(system_browser: PersonWithBrowser) -> Iterator[FormBrowser]:
    """Return somebody whom Django knows, at the system's browser."""
    with django_provider.form_browser("grace") as browser:
        system_browser.person = browser
        yield browser


def at_django(django: DjangoProvider, client_id: str, **options: Any) -> Provider:
    return Provider(
        issuer=django.issuer, client_id=client_id, scope="openid profile email", **options
    )


@pytest.mark.usefixtures("django_user")
@pytest.mark.parametrize("kind", [AsyncClient, Client])
async def test_django_s_sessions_are_refreshed_and_revoked(
    django: DjangoProvider, kind: type[AsyncClient | Client]
) -> None:
    everything = {**django.metadata, **django.unlisted}
    client = kind.on_desktop(
        base_url=django.issuer, provider=at_django(django, "spa", metadata=everything)
    )
    refreshed = list[int]()
    client.on("refreshed", lambda: refreshed.append(1))
    await awaited(client.sign_in)
    assert client.user is not None
    assert client.user.items() >= {"sub": "2", "name": "Name of grace"}.items()
    async with asyncio.timeout(DEADLINE):
        while len(refreshed) < 2:
            assert (await awaited(client.userinfo))["sub"] == "2"
            await asyncio.sleep(0.05)
    token = client._manager.session.require().tokens.refresh_token or ""  # noqa: SLF001
    await awaited(client.sign_out)
    refused = RawClient(everything, "spa").refresh(token)
    assert refused.json()["error"] == "invalid_grant"


@pytest.mark.usefixtures("django_user")
def test_a_provider_that_lists_no_revocation_is_signed_out_of_here(
    django: DjangoProvider,
) -> None:
    client = Client.on_desktop(base_url=django.issuer, provider=at_django(django, "spa"))
    client.sign_in()
    client.sign_out()
    assert client.state == "anonymous"


def test_django_s_device_grant(django: DjangoProvider, django_user: FormBrowser) -> None:
    prompts = list[DevicePrompt]()

    def agree() -> None:
        (prompt,) = prompts
        django_user.visit(f"{prompt.verification_uri}?user_code={prompt.user_code}")

    clock = HurriedClock(None, agree)
    everything = {**django.metadata, **django.unlisted}
    provider = at_django(django, "device", metadata=everything)
    client = Client.on_desktop(base_url=django.issuer, provider=provider, clock=clock)
    client.sign_in(device=prompts.append)
    assert client.userinfo()["sub"] == "2"
