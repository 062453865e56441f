"""What becomes of a program's session at a provider: restarts, outages, wrong clocks, refusals."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.providers.places import API, awaited
from tests.support.fake_issuer import Answer
from tests.support.lying_provider import LyingProvider
from tests.support.oidc_provider import OidcProvider
from tests.support.verifying_api import VerifyingApi
from unexpired import (
    AsyncClient,
    Client,
    NotSignedIn,
    SessionExpired,
    SignInFailed,
    Unreachable,
)
from unexpired.oidc import Provider
from unexpired.ports import SystemClock

SCOPE = "openid profile offline_access notes"
HOUR = 3600.0

pytestmark = pytest.mark.usefixtures("home", "system_browser")

Start = Callable[..., Any]


class WrongClock(SystemClock):
    """The device's clock, which is wrong.

    Attributes:
        ahead: By how many seconds; negative: it is behind.
        passed: Seconds that have passed besides.
    """

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead
        self.passed = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.passed


@pytest.fixture(params=[AsyncClient, Client], ids=["async", "sync"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def start(kind: Any, npm: OidcProvider, api: VerifyingApi) -> Start:
    """Return what starts the program of oidc-provider's client, the same each time."""

    def start(client_id: str = "native", *, dpop: bool = False, **options: Any) -> Any:
        provider = Provider(
            issuer=npm.issuer,
            client_id=client_id,
            scope=SCOPE,
            resource=API,
            prompt="consent",
            dpop=dpop,
        )
        return kind.on_desktop(**{"base_url": api.url, "provider": provider, **options})

    return start


@pytest.fixture
def start_at_liar(kind: Any, liar: LyingProvider) -> Start:
    """Return what starts the program of a provider that may lie."""

    def start(client_id: str = "native", **options: Any) -> Any:
        provider = Provider(issuer=liar.issuer, client_id=client_id)
        return kind.on_desktop(**{"base_url": liar.url, "provider": provider, **options})

    return start


def refreshes(npm: OidcProvider) -> list[int]:
    """Return the statuses of the refreshes since the last time."""
    return [one["status"] for one in npm.log() if one.get("grant") == "refresh_token"]


def counted(client: Any) -> Counter[str]:
    """Return how often each event comes from now on."""
    seen = Counter[str]()
    for name in ("signed_in", "refreshed", "expired", "signed_out", "degraded", "recovered"):
        client.on(name, lambda *_, name=name: seen.update([name]))
    return seen


async def at_once(kind: Any, *calls: Callable[[], Any]) -> list[Any]:
    """Make calls of either client at once; return what each returned or raised."""
    runs = (call() if kind is AsyncClient else asyncio.to_thread(call) for call in calls)
    return list(await asyncio.gather(*runs, return_exceptions=True))


async def refused(client: Any) -> str:
    """Return the code with which a refresh ends the session."""
    with pytest.raises(SessionExpired) as end:
        await awaited(client.refresh)
    return str(end.value.code)


# -- One session, several programs -----------------------------------------------------------------


async def test_a_program_that_starts_again_goes_on(start: Start, npm: OidcProvider) -> None:
    await awaited(start().sign_in)
    npm.log()
    client = start()
    assert client.user["sub"] == "ada"
    assert (await awaited(client.get, "/me")).is_success
    assert refreshes(npm) == []  # The token is still good.
    await awaited(client.refresh)
    assert (await awaited(client.get, "/me")).is_success
    assert refreshes(npm) == [200]


async def test_a_bound_session_goes_on_after_a_start(start: Start, npm: OidcProvider) -> None:
    await awaited(start("native-dpop", dpop=True).sign_in)
    client = start("native-dpop", dpop=True)
    await awaited(client.refresh)
    assert (await awaited(client.get, "/me")).is_success
    assert refreshes(npm)[-1] == 200


async def test_programs_that_share_a_session_refresh_once(
    kind: Any, start: Start, npm: OidcProvider
) -> None:
    await awaited(start().sign_in)
    programs = [start() for _ in range(3)]
    npm.slow(300)
    assert await at_once(kind, *(each.refresh for each in programs)) == [None] * 3
    assert refreshes(npm) == [200]
    for each in programs:
        assert (await awaited(each.get, "/me")).is_success


async def test_a_slow_provider_is_not_asked_by_another_program_meanwhile(
    kind: Any, start: Start, npm: OidcProvider
) -> None:
    """It would take the second request for a theft, and end the session."""
    await awaited(start().sign_in)
    first, second = (start(refresh_timeout=0.5) for _ in range(2))
    npm.slow(2000)
    outcomes = await at_once(kind, first.refresh, second.refresh)
    assert all(one is None or isinstance(one, Unreachable) for one in outcomes)
    async with asyncio.timeout(20):
        while not first.diagnose()["generation"] == second.diagnose()["generation"] == 2:
            for each in (first, second):
                await awaited(each.get, "/me")
            await asyncio.sleep(0.05)
    assert refreshes(npm) == [200]
    assert first.state == second.state == "active"


def test_a_program_that_was_stopped_does_not_keep_others_from_refreshing(
    liar: LyingProvider, home: Path
) -> None:
    provider, clock = Provider(issuer=liar.issuer, client_id="native"), WrongClock(0)
    client = Client.on_desktop(
        base_url=liar.url, provider=provider, clock=clock, refresh_timeout=0.3
    )
    client.sign_in()
    client.refresh()  # Makes the file of the lock.
    before = liar.requests["/token"]
    (path,) = home.glob("*.lock")
    with FileLock(path):
        for clock.passed in (0, 59):
            with pytest.raises(Unreachable):
                client.refresh()
            assert client.state == "degraded"
        assert liar.requests["/token"] == before
        clock.passed = 61
        client.refresh()
    assert client.state == "active"


async def test_a_sign_out_in_one_program_is_one_in_the_other(start: Start) -> None:
    await awaited(start().sign_in)
    first, second = start(), start()
    await awaited(first.sign_out)
    with pytest.raises(NotSignedIn):
        await awaited(second.get, "/me")


# -- The provider refuses --------------------------------------------------------------------------


async def test_a_refusal_ends_the_session_once_for_all_that_wait(
    kind: Any, start_at_liar: Start, liar: LyingProvider
) -> None:
    clock = WrongClock(0)
    client = start_at_liar(clock=clock)
    await awaited(client.sign_in)
    seen = counted(client)
    before = liar.requests["/token"]
    liar.fail("/token", 400, "invalid_grant")
    liar.fail("/orders", 401, "invalid_token")
    clock.ahead = HOUR
    outcomes = await at_once(kind, *[lambda: client.get("/orders")] * 3)
    assert [getattr(one, "code", None) for one in outcomes] == ["REFRESH_INVALID"] * 3
    assert str(outcomes[0]) == "Your session has expired. Please log in again."
    assert client.state == "expired"
    assert seen == {"expired": 1}
    assert liar.requests["/token"] == before + 1


async def test_a_token_is_used_to_its_end_after_a_refusal(start: Start, npm: OidcProvider) -> None:
    client = start()
    await awaited(client.sign_in)
    npm.revoke_grants()
    assert await refused(client) == "REFRESH_INVALID"
    assert (await awaited(client.get, "/me")).is_success
    assert client.state == "active"


async def test_a_response_that_was_lost_ends_the_session_where_there_is_no_grace(
    start: Start, npm: OidcProvider
) -> None:
    """The provider has spent the token, and takes its second use for a theft (RFC 9700, 4.14.2)."""
    client = start()
    await awaited(client.sign_in)
    npm.lose_responses()
    with pytest.raises(Unreachable):
        await awaited(client.refresh)
    assert client.state == "degraded"
    client._manager.session.resume()  # noqa: SLF001 - the pause of the back-off
    assert await refused(client) == "REFRESH_INVALID"
    assert refreshes(npm) == [200, 400]


async def test_tokens_of_another_person_end_the_session(
    start_at_liar: Start, liar: LyingProvider
) -> None:
    client = start_at_liar()
    await awaited(client.sign_in)
    token, liar.subject = await awaited(client.token), "mallory"
    assert await refused(client) == "REFRESH_INVALID"
    assert client.user["sub"] == "ada"
    assert await awaited(client.token) == token


@pytest.mark.parametrize("changes", [{"aud": "other"}, {"iss": "https://other.example"}])
async def test_a_refresh_with_an_id_token_for_others_ends_the_session(
    start_at_liar: Start, liar: LyingProvider, changes: dict[str, Any]
) -> None:
    client = start_at_liar()
    await awaited(client.sign_in)
    liar.claims = changes
    assert await refused(client) == "REFRESH_INVALID"


async def test_a_refresh_need_not_have_an_id_token(
    start_at_liar: Start, liar: LyingProvider, home: Path
) -> None:
    client = start_at_liar()
    await awaited(client.sign_in)
    first = stored_in(home)["idToken"]
    liar.tokens = {"id_token": None}
    await awaited(client.refresh)
    assert client.user["sub"] == "ada"
    assert stored_in(home)["idToken"] == first
    liar.tokens = {}
    liar.claims = {"name": "Ada Lovelace"}
    await awaited(client.refresh)
    assert client.user["name"] == "Ada Lovelace"
    assert stored_in(home)["idToken"] != first


def stored_in(home: Path) -> dict[str, Any]:
    """Return the session that a program has stored."""
    (path,) = home.glob("*.json")
    record: dict[str, Any] = json.loads(path.read_text())
    return record


# -- Outages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_outage_signs_nobody_out(start: Start, npm: OidcProvider, status: int) -> None:
    clock = WrongClock(0)
    client = start(clock=clock, refresh_timeout=0.3)
    await awaited(client.sign_in)
    seen = counted(client)
    npm.fail(token=status)
    clock.ahead = HOUR
    with pytest.raises(Unreachable):
        await awaited(client.get, "/me")
    assert client.state == "degraded"
    npm.fail()
    client._manager.session.resume()  # noqa: SLF001 - the pause of the back-off
    assert (await awaited(client.get, "/me")).is_success
    assert client.state == "active"
    assert seen == {"degraded": 1, "refreshed": 1, "recovered": 1}


async def test_a_provider_that_is_down_signs_nobody_out_of_a_program_that_starts(
    start_at_liar: Start, liar: LyingProvider
) -> None:
    """Discovery comes first, and fails."""
    await awaited(start_at_liar().sign_in)
    client = start_at_liar(refresh_timeout=0.3)
    pages: list[Answer] = [(503, {}, b"Down."), (200, {}, b"<html>Pay for the network.</html>")]
    for page in pages:
        liar.answers[liar.discovery] = page
        client._manager.session.resume()  # noqa: SLF001 - the pause of the back-off
        with pytest.raises(Unreachable):
            await awaited(client.refresh)
        assert client.state == "degraded"
    liar.answers.clear()
    client._manager.session.resume()  # noqa: SLF001
    await awaited(client.refresh)
    assert client.state == "active"


async def test_a_wrong_description_ends_no_session(
    start_at_liar: Start, liar: LyingProvider
) -> None:
    """As on a network where somebody else answers for the provider, or after its mistake."""
    await awaited(start_at_liar().sign_in)
    client = start_at_liar(refresh_timeout=0.3)
    liar.metadata = {"issuer": "https://other.example"}
    before = liar.requests["/token"]
    with pytest.raises(Unreachable):
        await awaited(client.refresh)
    assert client.state == "degraded"
    assert liar.requests["/token"] == before


@pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client", "some_new_code"])
async def test_a_mistake_in_the_registration_ends_no_session(
    start_at_liar: Start, liar: LyingProvider, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = start_at_liar()
    await awaited(client.sign_in)
    liar.fail("/token", 400, code)
    with pytest.raises(Unreachable):
        await awaited(client.refresh)
    assert client.state == "degraded"
    assert f"({code})" in caplog.text


async def test_a_provider_that_hangs_does_not_keep_a_call_waiting(
    start_at_liar: Start, liar: LyingProvider
) -> None:
    client = start_at_liar(timeout=0.3)
    await awaited(client.sign_in)
    liar.open.clear()
    async with asyncio.timeout(10):
        with pytest.raises(Unreachable):
            await awaited(client.userinfo)


async def test_a_program_does_not_end_before_its_tokens_are_revoked(
    start_at_liar: Start, liar: LyingProvider
) -> None:
    provider = Provider(issuer=liar.issuer, client_id="native", post_logout_redirect_uri=None)
    await awaited(start_at_liar(provider=provider).sign_in)
    client = start_at_liar(provider=provider)  # It does not know its addresses yet.
    liar.open.clear()
    slow = threading.Timer(2.5, liar.open.set)
    slow.start()
    await awaited(client.sign_out)
    slow.join()
    assert liar.requests["/revoke"] == 1


# -- Wrong clocks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [-HOUR, -600, 600, HOUR])
@pytest.mark.parametrize("dpop", [False, True])
async def test_a_wrong_clock_changes_nothing(
    start: Start,
    npm: OidcProvider,
    ahead: float,
    dpop: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    client = start("native-dpop" if dpop else "native", dpop=dpop, clock=WrongClock(ahead))
    await awaited(client.sign_in)
    assert client.diagnose()["bound"] == dpop
    assert client.expires_in == pytest.approx(300, abs=5)
    assert client.diagnose()["skew"] == pytest.approx(-ahead, abs=5)
    assert (await awaited(client.get, "/me")).is_success
    assert refreshes(npm) == []
    await awaited(client.refresh)
    assert (await awaited(client.get, "/me")).is_success
    assert refreshes(npm)[-1] == 200


async def test_a_clock_that_jumps_costs_a_refresh(start: Start, npm: OidcProvider) -> None:
    clock = WrongClock(0)
    client = start(clock=clock)
    await awaited(client.sign_in)
    clock.ahead = HOUR
    for _ in range(3):
        assert (await awaited(client.get, "/me")).is_success
    assert refreshes(npm) == [200]


# -- Whose record it is ----------------------------------------------------------------------------


async def test_a_session_of_another_client_or_provider_is_not_refreshed_here(
    start_at_liar: Start, liar: LyingProvider, kind: Any
) -> None:
    await awaited(start_at_liar().sign_in)
    liar.sent.clear()
    with LyingProvider() as other:
        elsewhere = Provider(issuer=other.issuer, client_id="native")
        for client in (start_at_liar("other"), start_at_liar(provider=elsewhere)):
            assert client.state == "anonymous"
            with pytest.raises(NotSignedIn):
                await awaited(client.refresh)
        own = kind.on_desktop(base_url=liar.url)
        assert own.state == "anonymous"
        assert liar.sent == other.sent == []
    assert start_at_liar().state == "active"


@pytest.mark.parametrize("api", ["named", ""])
async def test_a_session_of_the_api_s_own_server_is_not_refreshed_at_the_provider(
    start_at_liar: Start, liar: LyingProvider, kind: Any, home: Path, api: str
) -> None:
    own = kind.on_desktop(base_url=liar.url)
    await awaited(own.adopt, {"accessToken": "own-access", "refreshToken": "own-refresh"})
    if not api:  # As an earlier version has stored it.
        forget_api(home)
        own = kind.on_desktop(base_url=liar.url)
        forget_api(home)
    client = start_at_liar()
    assert client.state == "anonymous"
    with pytest.raises(NotSignedIn):
        await awaited(client.get, "/api/orders")
    assert liar.sent == []
    assert own.state == "active"


def forget_api(home: Path) -> None:
    (path,) = home.glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"api": ""}))


async def test_tokens_that_the_application_got_are_adopted(
    start_at_liar: Start, liar: LyingProvider
) -> None:
    await awaited(start_at_liar().sign_in)
    tokens = start_at_liar()._manager.session.require().tokens  # noqa: SLF001
    client = start_at_liar(base_url=f"{liar.url}/other")
    given = {"access_token": tokens.access_token, "refresh_token": tokens.refresh_token}
    await awaited(client.adopt, {**given, "expires_in": 300, "id_token": tokens.id_token})
    assert client.user["sub"] == "ada"
    assert client.expires_in == pytest.approx(300, abs=5)
    await awaited(client.refresh)
    assert client.user["sub"] == "ada"
    assert liar.forms("/token")[-1]["client_id"] == "native"


async def test_an_id_token_for_another_client_is_not_adopted(
    start_at_liar: Start, liar: LyingProvider
) -> None:
    await awaited(start_at_liar("other").sign_in)
    tokens = start_at_liar("other")._manager.session.require().tokens  # noqa: SLF001
    client = start_at_liar(base_url=f"{liar.url}/other")
    with pytest.raises(SignInFailed, match="cannot be trusted"):
        await awaited(
            client.adopt, {"access_token": tokens.access_token, "id_token": tokens.id_token}
        )
    assert client.state == "anonymous"
